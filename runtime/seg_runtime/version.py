"""The version of seg-edge; the build reads it here, and asking the installed packages would cost each start 15 ms."""

VERSION = "0.1.0"
