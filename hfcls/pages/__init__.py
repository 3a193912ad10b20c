"""What the pages share: head, style, macros, the strokes of figures."""
