"""Passwords of programs, found by what they look like, so that none is published."""

import re

# Kind to pattern. Each begins with something that nothing else begins with.
_PATTERNS = {
    "a Hugging Face token": rb"\b(?:hf|api_org)_[A-Za-z0-9]{30,}",
    "a GitHub token": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    "a GitLab token": rb"\bglpat-[A-Za-z0-9_-]{20,}",
    "an AWS access key": rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "an AWS secret key": rb"(?i:aws_?secret_?(?:access_?)?key)[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
    "a Slack token": rb"\bxox(?:[abeoprs]-\d{8,}-[A-Za-z0-9-]+|e(?:\.xox[bp])?-\d-[A-Za-z0-9]{20,})",
    "a Slack webhook": rb"hooks\.slack\.com/services/[A-Za-z0-9/]{20,}",
    "an API key (sk-...)": rb"(?<![A-Za-z0-9_-])sk-(?:[A-Za-z0-9]{48}(?![A-Za-z0-9_-])|or-v1-[0-9a-f]{64}"
    rb"|ant-(?:api|admin|oat|sid)\d\d-[A-Za-z0-9_-]{20,}"
    rb"|(?:proj|svcacct|admin)-(?=[A-Za-z_-]*\d)(?=[a-z0-9_-]*[A-Z])[A-Za-z0-9_-]{20,})",
    "a Stripe key": rb"\b[rs]k_live_[A-Za-z0-9]{20,}",
    "a Google API key": rb"\bAIza[0-9A-Za-z_-]{35}",
    "a PyPI token": rb"\bpypi-AgE[A-Za-z0-9_-]{50,}",
    "an npm token": rb"\bnpm_[A-Za-z0-9]{36}\b",
    "a private key": rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    # `$TOKEN`, `{token}` and `***` stand for one.
    "a password in a URL": rb"\b(?:https?|ftps?|sftp|ssh|git|svn|wss?|ldaps?|smtps?|postgres(?:ql)?|mysql|mariadb|mssql"
    rb"|oracle|mongodb|rediss?|amqps?|clickhouse)(?:\+[a-z0-9]+)?://[^\s/:@\"'<>]*:(?![${*])[^\s/@\"'<>]{3,}@[\w.-]+",
}
_COMPILED = {kind: re.compile(pattern) for kind, pattern in _PATTERNS.items()}
# A token in use that is shorter could be any word.
_SHORTEST = 8


def find_secret(content: bytes, *, token: str | None = None) -> str | None:
    """What kind of secret a file holds, or None.

    Args:
        content: of a file of any kind.
        token: the one in use, looked for as it is.
    """
    if token and len(token) >= _SHORTEST and token.encode() in content:
        return "the Hub token in use"
    return next((kind for kind, pattern in _COMPILED.items() if pattern.search(content)), None)
