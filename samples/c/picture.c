#define _POSIX_C_SOURCE 200809L
#include "picture.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"

bool fail(const char *format, ...) {
  char line[1024];
  va_list values;
  va_start(values, format);
  vsnprintf(line, sizeof line, format, values);
  va_end(values);
  for (char *c = line; *c; c++)
    if (*c == '\n' || *c == '\r') *c = ' ';
  fprintf(stderr, "error: %s\n", line);
  return false;
}

static const char *type_name(ONNXTensorElementDataType type) {
  if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) return "float32";
  if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16) return "uint16";
  return type == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 ? "uint8" : "another type";
}

/* A number of a header; blanks and comments before it are skipped. -1 where there is none. */
static int64_t header_number(FILE *file) {
  int c = getc(file);
  while (c == '#' || c == ' ' || c == '\t' || c == '\n' || c == '\r') {
    if (c == '#')
      while (c != '\n' && c != EOF) c = getc(file);
    if (c != EOF) c = getc(file);
  }
  int64_t value = -1;
  for (; c >= '0' && c <= '9' && value < 1000000; c = getc(file)) value = (value < 0 ? 0 : value * 10) + (c - '0');
  return value; /* the one blank after it is read, too */
}

/* Kind and size. `big` says whether the file stores the first byte of a grey value first. */
static bool read_header(Image *image, FILE *file, bool *big, const char *path) {
  char magic[2] = "";
  bool known = fread(magic, 1, 2, file) == 2 && magic[0] == 'P' && strchr("56fF", magic[1]) && magic[1];
  if (!known) return fail("%s is not a PGM, PPM or PFM (P5, P6, Pf, PF): convert it", path);
  image->channels = magic[1] == '6' || magic[1] == 'F' ? 3 : 1;
  image->width = header_number(file);
  image->height = header_number(file);
  if (image->width < 1 || image->height < 1) return fail("%s has no valid size in its header: save it again", path);
  if (magic[1] == 'f' || magic[1] == 'F') {
    double scale = 0;
    if (fscanf(file, "%lf", &scale) != 1 || scale == 0 || getc(file) == EOF) return fail("%s is cut short", path);
    *big = scale > 0;
    image->type = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    image->size = sizeof(float);
    return true;
  }
  const int64_t maximum = header_number(file);
  if (maximum != 255 && maximum != 65535)
    return fail("%s has the maximum %lld; expected 255 or 65535. Scale it as the training images were", path,
                (long long)maximum);
  *big = true;
  image->type = maximum == 255 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 : ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16;
  image->size = maximum == 255 ? 1 : 2;
  return true;
}

static void reverse_bytes(uint8_t *pixels, size_t count, size_t size) {
  for (uint8_t *value = pixels; value < pixels + count * size; value += size)
    for (size_t i = 0; i < size / 2; i++) {
      const uint8_t kept = value[i];
      value[i] = value[size - 1 - i];
      value[size - 1 - i] = kept;
    }
}

static bool read_rows(Image *image, FILE *file, bool big, const char *path) {
  const size_t row = (size_t)(image->width * image->channels) * image->size, rows = (size_t)image->height;
  const bool upwards = image->type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; /* a PFM starts with its last row */
  if (!(image->pixels = malloc(row * rows))) return fail("%s is too large for this machine's memory", path);
  for (size_t i = 0; i < rows; i++)
    if (fread(image->pixels + row * (upwards ? rows - 1 - i : i), 1, row, file) != row) return fail("%s is cut short", path);
  const uint16_t one = 1;
  if (big == (*(const uint8_t *)&one == 1)) reverse_bytes(image->pixels, row * rows / image->size, image->size);
  return true;
}

FILE *open_to_read(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) return fail("%s cannot be opened (%s)", path, strerror(errno)), NULL;
  const int first = getc(file);
  if (first != EOF) return ungetc(first, file), file;
  if (ferror(file))
    fail("%s cannot be read (%s)", path, strerror(errno));
  else
    fail("%s is empty", path);
  fclose(file);
  return NULL;
}

bool read_image(Image *image, const char *path) {
  FILE *file = open_to_read(path);
  if (!file) return false;
  bool big = false;
  const bool whole = read_header(image, file, &big, path) && read_rows(image, file, big, path);
  fclose(file);
  return whole;
}

/* Grey becomes three equal channels, three equal channels become grey; anything else would lose something. */
static bool fit_channels(Image *image, int64_t channels, const char *path) {
  const size_t area = (size_t)(image->height * image->width), size = image->size;
  uint8_t *fitted = malloc(area * (size_t)channels * size);
  if (!fitted) return fail("%s is too large for this machine's memory", path);
  for (size_t i = 0; i < area; i++) {
    const uint8_t *from = image->pixels + i * (size_t)image->channels * size;
    if (channels == 1 && (memcmp(from, from + size, size) != 0 || memcmp(from, from + 2 * size, size) != 0)) {
      free(fitted);
      return fail("%s is in colour, the model was trained on grey: convert it as the training images were", path);
    }
    for (size_t c = 0; c < (size_t)channels; c++) memcpy(fitted + (i * (size_t)channels + c) * size, from, size);
  }
  free(image->pixels);
  image->pixels = fitted;
  image->channels = channels;
  return true;
}

bool fit_image(Image *image, ONNXTensorElementDataType type, int64_t channels, const char *path) {
  const char *given = type_name(image->type);
  if (image->type != type)
    return fail("%s has %s grey values, the model takes %s: convert it, or export with --host-dtype %s", path, given,
                type_name(type), given);
  return image->channels == channels || fit_channels(image, channels, path);
}

/* Written beside its place, then renamed into it. */
bool write_mask(const char *path, const uint8_t *labels, const Image *image) {
  char beside[4096];
  int length = snprintf(beside, sizeof beside, "%s.%ld.partial", path, process_number());
  if (length >= (int)sizeof beside) return fail("%s: too long a name", path);
  FILE *file = fopen(beside, "wbx"); /* a new file, so that a link of this name is not followed */
  if (!file) return fail("%s cannot be written (%s)", path, strerror(errno));
  const size_t area = (size_t)(image->height * image->width);
  bool whole = fprintf(file, "P5\n%lld %lld\n255\n", (long long)image->width, (long long)image->height) > 0 &&
               fwrite(labels, 1, area, file) == area;
  whole = fclose(file) == 0 && whole;
  if (whole && replace_file(beside, path)) return true;
  fail("%s cannot be written (%s)", path, strerror(errno));
  remove(beside);
  return false;
}
