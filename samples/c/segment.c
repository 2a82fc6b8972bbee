/* segment LIBONNXRUNTIME MODEL.onnx IMAGE.pgm MASK.pgm
 *
 * Segments a PGM or PPM picture (P5, P6, 8 bits) with a host-ready model; MASK.pgm holds class indices. Scaling, tiling,
 * stitching and the decision are inside the model, so that the host hands over pixels and gets labels.
 *
 * The library is opened by the path that you name, never by name alone: a workstation may have another version of it
 * in its system folders. On Windows, LoadLibraryW and GetProcAddress take the place of dlopen and dlsym, and
 * CreateSession wants a wide path. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ort_subset.h"

typedef struct {
  int64_t height, width, channels;
  uint8_t *pixels; /* (height, width, channels) */
} Image;

typedef struct {
  void *library;
  const OrtApi *ort;
  const char *version;
  OrtEnv *env;
  OrtSession *session;
  int64_t channels;
} Model;

/* One line on stderr. Returns false, so that a failing step can end with it. */
static bool fail(const char *format, ...) {
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

/* Each call of ONNX Runtime gives NULL or a status, which is told and freed here. */
static bool good(const Model *m, OrtStatus *status) {
  if (status == NULL) return true;
  fail("ONNX Runtime %s: %s", m->version, m->ort->GetErrorMessage(status));
  m->ort->ReleaseStatus(status);
  return false;
}

static bool open_library(Model *m, const char *path) {
  union { /* ISO C has no cast from an object pointer, which dlsym gives, to a function pointer */
    void *object;
    const OrtApiBase *(*function)(void);
  } entry = {NULL};
  m->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (m->library) entry.object = dlsym(m->library, "OrtGetApiBase");
  if (!entry.object) return fail("%s is not ONNX Runtime's library (%s)", path, dlerror());
  m->version = entry.function()->GetVersionString();
  m->ort = entry.function()->GetApi(ORT_API_VERSION);
  return m->ort || fail("ONNX Runtime %s has no API of version %d", m->version, ORT_API_VERSION);
}

/* What shape and type the model's one input has: uint8 (-1, -1, channels), or the file is another form. */
static bool read_channels(Model *m, const char *path) {
  OrtTypeInfo *type = NULL;
  const OrtTensorTypeAndShapeInfo *tensor = NULL; /* belongs to `type` */
  ONNXTensorElementDataType element = 0;
  int64_t shape[3] = {0};
  size_t rank = 0;
  bool known = good(m, m->ort->SessionGetInputTypeInfo(m->session, 0, &type)) &&
               good(m, m->ort->CastTypeInfoToTensorInfo(type, &tensor)) &&
               good(m, m->ort->GetTensorElementType(tensor, &element)) &&
               good(m, m->ort->GetDimensionsCount(tensor, &rank)) &&
               (rank != 3 || good(m, m->ort->GetDimensions(tensor, shape, 3)));
  if (type) m->ort->ReleaseTypeInfo(type);
  m->channels = shape[2];
  if (!known) return false;
  if (element == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 && (m->channels == 1 || m->channels == 3)) return true;
  return fail("%s does not take uint8 images of 1 or 3 channels: export it with seg-export --host-ready", path);
}

static bool open_model(Model *m, const char *library, const char *path) {
  OrtSessionOptions *options = NULL;
  setenv("ORT_DISABLE_TELEMETRY", "1", 1); /* read by CreateEnv; DisableTelemetryEvents would come too late */
  bool opened = open_library(m, library) &&
                good(m, m->ort->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "segment", &m->env)) &&
                good(m, m->ort->CreateSessionOptions(&options)) &&
                good(m, m->ort->CreateSession(m->env, path, options, &m->session));
  if (options) m->ort->ReleaseSessionOptions(options);
  return opened && read_channels(m, path);
}

static void close_model(Model *m) {
  if (m->ort) {
    if (m->session) m->ort->ReleaseSession(m->session);
    if (m->env) m->ort->ReleaseEnv(m->env);
  }
  if (m->library) dlclose(m->library);
}

/* Whether the answer is one byte for each pixel, before they are read as that. */
static bool is_labels(const Model *m, const OrtValue *output, size_t area) {
  OrtTensorTypeAndShapeInfo *info = NULL;
  ONNXTensorElementDataType element = 0;
  size_t elements = 0;
  bool known = good(m, m->ort->GetTensorTypeAndShape(output, &info)) &&
               good(m, m->ort->GetTensorElementType(info, &element)) &&
               good(m, m->ort->GetTensorShapeElementCount(info, &elements));
  if (info) m->ort->ReleaseTensorTypeAndShapeInfo(info);
  if (!known) return false;
  return (element == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 && elements == area) ||
         fail("the model's labels do not have the image's size: export it again");
}

/* The heart: `image` in, one class index for each pixel out. A model may be shared by threads; this call is thread-safe. */
static bool segment(const Model *m, const Image *image, uint8_t *labels) {
  const int64_t shape[3] = {image->height, image->width, image->channels};
  const size_t area = (size_t)(image->height * image->width);
  const char *const input_name = "image", *const output_name = "labels";
  OrtMemoryInfo *memory = NULL;
  OrtValue *input = NULL, *output = NULL;
  void *answer = NULL; /* belongs to `output` */
  bool done = good(m, m->ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory)) &&
              good(m, m->ort->CreateTensorWithDataAsOrtValue(memory, image->pixels, area * (size_t)image->channels, shape, 3,
                                                             ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, &input)) &&
              good(m, m->ort->Run(m->session, NULL, &input_name, (const OrtValue *const *)&input, 1, &output_name, 1,
                                  &output)) &&
              is_labels(m, output, area) && good(m, m->ort->GetTensorMutableData(output, &answer));
  if (done) memcpy(labels, answer, area);
  if (output) m->ort->ReleaseValue(output);
  if (input) m->ort->ReleaseValue(input);
  if (memory) m->ort->ReleaseMemoryInfo(memory);
  return done;
}

/* A number of a PNM header; blanks and comments before it are skipped. -1 where there is none. */
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

static bool read_image(Image *image, const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) return fail("%s cannot be opened (%s)", path, strerror(errno));
  char magic[2] = "";
  bool known = fread(magic, 1, 2, file) == 2 && magic[0] == 'P' && (magic[1] == '5' || magic[1] == '6');
  image->channels = magic[1] == '6' ? 3 : 1;
  image->width = known ? header_number(file) : 0;
  image->height = known ? header_number(file) : 0;
  known = known && header_number(file) == 255 && image->width > 0 && image->height > 0;
  const size_t size = (size_t)(image->width * image->height * image->channels);
  bool whole = false;
  if (known && (image->pixels = malloc(size))) whole = fread(image->pixels, 1, size, file) == size;
  fclose(file);
  if (!known) return fail("%s is not a PGM or PPM of 8 bits (P5 or P6, maximum 255): convert it", path);
  return whole || fail("%s is cut short, or too large for this machine's memory", path);
}

/* Grey becomes three equal channels, three equal channels become grey; anything else would lose something. */
static bool fit_channels(Image *image, int64_t channels, const char *path) {
  if (image->channels == channels) return true;
  const size_t area = (size_t)(image->height * image->width);
  uint8_t *fitted = malloc(area * (size_t)channels);
  if (!fitted) return fail("%s is too large for this machine's memory", path);
  for (size_t i = 0; i < area; i++) {
    const uint8_t *from = image->pixels + i * (size_t)image->channels;
    if (channels == 1 && (from[0] != from[1] || from[0] != from[2])) {
      free(fitted);
      return fail("%s is in colour, the model was trained on grey: convert it as the training images were", path);
    }
    memset(fitted + i * (size_t)channels, from[0], (size_t)channels);
  }
  free(image->pixels);
  image->pixels = fitted;
  image->channels = channels;
  return true;
}

/* The mask appears whole or not at all: written beside its place, then renamed into it. */
static bool write_mask(const char *path, const uint8_t *labels, const Image *image) {
  char beside[4096];
  int length = snprintf(beside, sizeof beside, "%s.%ld.partial", path, (long)getpid());
  if (length >= (int)sizeof beside) return fail("%s: too long a name", path);
  FILE *file = fopen(beside, "wbx"); /* a new file, so that a link of this name is not followed */
  if (!file) return fail("%s cannot be written (%s)", path, strerror(errno));
  const size_t area = (size_t)(image->height * image->width);
  bool whole = fprintf(file, "P5\n%lld %lld\n255\n", (long long)image->width, (long long)image->height) > 0 &&
               fwrite(labels, 1, area, file) == area;
  whole = fclose(file) == 0 && whole;
  if (whole && rename(beside, path) == 0) return true;
  fail("%s cannot be written (%s)", path, strerror(errno));
  remove(beside);
  return false;
}

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int count, char **arguments) {
  if (count != 5) return fail("usage: segment LIBONNXRUNTIME MODEL.onnx IMAGE.pgm MASK.pgm"), 2;
  const char *library = arguments[1], *path = arguments[2], *source = arguments[3], *target = arguments[4];
  Model model = {0};
  Image image = {0};
  uint8_t *labels = NULL;
  bool done = open_model(&model, library, path) && read_image(&image, source) &&
              fit_channels(&image, model.channels, source);
  if (done) {
    labels = malloc((size_t)(image.height * image.width));
    const double start = now_ms();
    done = (labels || fail("out of memory")) && segment(&model, &image, labels);
    const double ms = now_ms() - start;
    done = done && write_mask(target, labels, &image);
    if (done)
      printf("%s: %lldx%lld px, %.1f ms, onnxruntime %s\n", target, (long long)image.width, (long long)image.height, ms,
             model.version);
  }
  free(labels);
  free(image.pixels);
  close_model(&model);
  return done ? 0 : 1;
}
