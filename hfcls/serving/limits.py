"""How much the page takes from a visitor at a time."""

MAX_BYTES = 20 * 2**20
MAX_PIXELS = 64_000_000
# Many at once: pictures, an archive of them, all that one request brings, all that they unpack to.
MAX_FILES = 200
MAX_ARCHIVE_BYTES = 100 * 2**20
MAX_UPLOAD_BYTES = 128 * 2**20
MAX_MEMBER_BYTES = 64 * 2**20
MAX_UNPACKED_BYTES = 512 * 2**20
# Of an explanation: as many as may be asked for, and as the page asks for.
MAX_SECONDS, PAGE_SECONDS = 120.0, 60.0
MAX_WAITING = 32
# More at a time would only slow each other down; one more than one, so that nobody waits for another's download.
AT_ONCE = 2
TOP_K = 5
# Longer side of a picture that is explained or perturbed: more than networks look at, and quick to send back.
SHOWN_SIDE = 1024
