/* Pictures and masks as Netpbm files. */
#ifndef PICTURE_H
#define PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ort_subset.h"

typedef struct {
  int64_t height, width, channels;
  ONNXTensorElementDataType type;
  size_t size;     /* bytes of a grey value */
  uint8_t *pixels; /* (height, width, channels), to be freed */
} Image;

/* One line on stderr. Returns false, so that a failing step can end with it. */
bool fail(const char *format, ...);

/* Open a file and make sure that it can be read; NULL after an error. A folder can be opened, too. */
FILE *open_to_read(const char *path);

/* Read a PGM or PPM of 8 or 16 bits, or a PFM. */
bool read_image(Image *image, const char *path);

/* Change the image to the type and the number of channels of a model, if nothing is lost. */
bool fit_image(Image *image, ONNXTensorElementDataType type, int64_t channels, const char *path);

/* Write a PGM of class indices. It appears whole or not at all. */
bool write_mask(const char *path, const uint8_t *labels, const Image *image);

#endif
