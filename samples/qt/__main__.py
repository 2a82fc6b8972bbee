"""`python samples/qt [MODEL.onnx [IMAGE]]`."""

import sys

try:
    from window import main
except ImportError as error:  # PySide6, or a system library that it needs
    sys.exit(f"error: {error}. Install it: pip install -c constraints.txt '.[cpu,qt]'")

main()
