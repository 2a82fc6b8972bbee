/* The digest at the end of a model file: its last bytes are a metadata entry of the ONNX format with the SHA-256 of all bytes
 * before it. ONNX Runtime ignores it, so a program must check it itself, or one flipped bit in a weight gives a wrong mask
 * without any error. */
#ifndef DIGEST_H
#define DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { DIGEST_MATCHES, DIGEST_MISSING, DIGEST_DIFFERS };

/* Check a whole model file in memory. */
int check_digest(const uint8_t *model, size_t size);

#endif
