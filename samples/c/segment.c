/* segment LIBONNXRUNTIME MODEL.onnx IMAGE.pgm MASK.pgm
 *
 * Segments a picture with a host-ready model; MASK.pgm holds class indices. Scaling, tiling, stitching and the decision are
 * inside the model: the host hands over the pixels, and puts the labels of each window where the model says. The picture is
 * a PGM or PPM (P5, P6) of 8 or 16 bits, or a PFM (Pf, PF) of floats, as the model takes it.
 *
 * The library is opened by the path that you name, never by name alone: a workstation may have another version of it
 * in its system folders. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "ort_subset.h"
#include "picture.h"
#include "platform.h"

typedef struct {
  void *library;
  const OrtApi *ort;
  const char *version;
  OrtEnv *env;
  OrtSession *session;
  ONNXTensorElementDataType type;
  int64_t channels;
} Model;

static volatile sig_atomic_t cancelled = 0;

static void cancel(int number) {
  (void)number;
  cancelled = 1;
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
    const OrtApiBase *(ORT_API_CALL *function)(void);
  } entry = {NULL};
  m->library = open_shared(path);
  if (m->library) entry.object = find_symbol(m->library, "OrtGetApiBase");
  if (!entry.object) return fail("%s is not ONNX Runtime's library (%s)", path, shared_error());
  m->version = entry.function()->GetVersionString();
  m->ort = entry.function()->GetApi(ORT_API_VERSION);
  return m->ort || fail("ONNX Runtime %s has no API of version %d", m->version, ORT_API_VERSION);
}

/* The whole file, to be freed by the caller; NULL after an error. */
static uint8_t *read_file(const char *path, size_t *size) {
  FILE *file = open_to_read(path);
  uint8_t *content = NULL;
  if (!file) return NULL;
  long length = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
  if (length < 0 || fseek(file, 0, SEEK_SET) != 0) {
    fail("%s cannot be read (%s)", path, strerror(errno));
  } else if (!(content = malloc((size_t)length + 1))) {
    fail("%s is too large for this machine's memory", path);
  } else if ((*size = fread(content, 1, (size_t)length, file)) != (size_t)length) {
    fail("%s cannot be read", path);
    free(content);
    content = NULL;
  }
  fclose(file);
  return content;
}

/* The bytes that were checked are the bytes that run. */
static bool open_session(Model *m, const OrtSessionOptions *options, const char *path) {
  size_t size = 0;
  uint8_t *content = read_file(path, &size);
  if (!content) return false;
  const int digest = check_digest(content, size);
  bool opened = false;
  if (digest == DIGEST_MISSING)
    fail("%s does not end with its digest, so it is cut short or not made by seg-export: copy or export it again", path);
  else if (digest == DIGEST_DIFFERS)
    fail("%s was changed or damaged, since its digest differs: copy or export it again", path);
  else
    opened = good(m, m->ort->CreateSessionFromArray(m->env, content, size, options, &m->session));
  free(content);
  return opened;
}

/* The shape and type of the model's first input: (-1, -1, channels) in a host-ready file, (N, C, H, W) in one of windows. The
 * first output has two axes, or three in a model of objects. */
static bool read_input(Model *m, const char *path) {
  OrtTypeInfo *type = NULL, *result = NULL;
  const OrtTensorTypeAndShapeInfo *tensor = NULL, *output = NULL; /* belong to them */
  int64_t shape[3] = {0};
  size_t rank = 0, inputs = 0, axes = 0;
  bool known = good(m, m->ort->SessionGetInputCount(m->session, &inputs)) &&
               good(m, m->ort->SessionGetInputTypeInfo(m->session, 0, &type)) &&
               good(m, m->ort->CastTypeInfoToTensorInfo(type, &tensor)) &&
               good(m, m->ort->GetTensorElementType(tensor, &m->type)) &&
               good(m, m->ort->GetDimensionsCount(tensor, &rank)) &&
               (rank != 3 || good(m, m->ort->GetDimensions(tensor, shape, 3))) &&
               good(m, m->ort->SessionGetOutputTypeInfo(m->session, 0, &result)) &&
               good(m, m->ort->CastTypeInfoToTensorInfo(result, &output)) &&
               good(m, m->ort->GetDimensionsCount(output, &axes));
  if (type) m->ort->ReleaseTypeInfo(type);
  if (result) m->ort->ReleaseTypeInfo(result);
  m->channels = shape[2];
  if (!known) return false;
  if (rank != 3) return fail("%s takes single windows, not whole images: export it with seg-export --host-ready", path);
  if (inputs != 3) return fail("%s was exported by an older seg-export: export it again", path);
  if (axes != 2) return fail("%s separates objects, this program only writes labels: use samples/node", path);
  if (m->channels == 1 || m->channels == 3) return true;
  return fail("%s takes images of %lld channels; this program reads 1 or 3", path, (long long)m->channels);
}

static bool open_model(Model *m, const char *library, const char *path) {
  OrtSessionOptions *options = NULL;
  set_environment("ORT_DISABLE_TELEMETRY", "1"); /* read by CreateEnv; DisableTelemetryEvents would come too late */
  bool opened = open_library(m, library) &&
                good(m, m->ort->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "segment", &m->env)) &&
                good(m, m->ort->CreateSessionOptions(&options)) && open_session(m, options, path);
  if (options) m->ort->ReleaseSessionOptions(options);
  return opened && read_input(m, path);
}

static void close_model(Model *m) {
  if (m->ort) {
    if (m->session) m->ort->ReleaseSession(m->session);
    if (m->env) m->ort->ReleaseEnv(m->env);
  }
  if (m->library) close_shared(m->library);
}

/* The inputs and outputs of a call by their places in the arrays below: what comes out as NEXT_… goes in again. */
enum { IMAGE, ORIGIN, STATISTICS, INPUTS };
enum { LABELS, NEXT_ORIGIN, NEXT_STATISTICS, PROGRESS, OUTPUTS };
static const char *const INPUT_NAMES[INPUTS] = {"image", "origin", "statistics"};
static const char *const OUTPUT_NAMES[OUTPUTS] = {"labels", "next_origin", "next_statistics", "progress"};

/* Copy the labels of one window to their place; false where they would lie outside of the image. */
static bool place_labels(const Model *m, OrtValue *part, const int64_t origin[2], const Image *image, uint8_t *labels) {
  OrtTensorTypeAndShapeInfo *info = NULL;
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  size_t rank = 0;
  int64_t shape[2] = {0};
  void *data = NULL; /* belongs to `part` */
  bool known = good(m, m->ort->GetTensorTypeAndShape(part, &info)) && good(m, m->ort->GetTensorElementType(info, &type)) &&
               good(m, m->ort->GetDimensionsCount(info, &rank)) &&
               (rank != 2 || good(m, m->ort->GetDimensions(info, shape, 2))) &&
               good(m, m->ort->GetTensorMutableData(part, &data));
  if (info) m->ort->ReleaseTensorTypeAndShapeInfo(info);
  if (!known) return false;
  const bool fits = type == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 && rank == 2 && shape[0] <= image->height - origin[0] &&
                    shape[1] <= image->width - origin[1];
  if (!fits) return fail("the labels of the model do not fit into the image: export it again");
  for (int64_t row = 0; row < shape[0]; row++)
    memcpy(labels + (origin[0] + row) * image->width + origin[1], (uint8_t *)data + row * shape[1], (size_t)shape[1]);
  return true;
}

static bool read_pair(const Model *m, OrtValue *value, int64_t pair[2]) {
  OrtTensorTypeAndShapeInfo *info = NULL;
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  size_t count = 0;
  void *data = NULL; /* belongs to `value` */
  bool known = good(m, m->ort->GetTensorTypeAndShape(value, &info)) && good(m, m->ort->GetTensorElementType(info, &type)) &&
               good(m, m->ort->GetTensorShapeElementCount(info, &count)) &&
               good(m, m->ort->GetTensorMutableData(value, &data));
  if (info) m->ort->ReleaseTensorTypeAndShapeInfo(info);
  if (!known) return false;
  if (type != ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 || count != 2)
    return fail("the model does not give its next window as two integers: export it again");
  memcpy(pair, data, 2 * sizeof *pair);
  return true;
}

/* Run the window at an origin, which becomes that of the next window. */
static bool segment_window(const Model *m, OrtValue **inputs, int64_t origin[2], const Image *image, uint8_t *labels) {
  OrtValue *outputs[OUTPUTS] = {NULL};
  int64_t progress[2], next[2];
  bool done = good(m, m->ort->Run(m->session, NULL, INPUT_NAMES, (const OrtValue *const *)inputs, INPUTS, OUTPUT_NAMES,
                                  OUTPUTS, outputs)) &&
              place_labels(m, outputs[LABELS], origin, image, labels) && read_pair(m, outputs[NEXT_ORIGIN], next) &&
              read_pair(m, outputs[PROGRESS], progress);
  if (done && is_terminal(stderr))
    fprintf(stderr, "%lld of %lld windows%c", (long long)progress[0], (long long)progress[1], next[0] < 0 ? '\n' : '\r');
  const bool onwards = done && (next[0] < 0 || (next[0] == origin[0] && next[1] > origin[1]) ||
                                (next[0] > origin[0] && next[1] >= 0));
  if (done && !onwards) done = fail("the windows of the model do not follow each other: export it again");
  if (done) {
    memcpy(origin, next, sizeof next);
    for (int i = ORIGIN; i < INPUTS; i++) m->ort->ReleaseValue(inputs[i]);
    inputs[ORIGIN] = outputs[NEXT_ORIGIN];
    inputs[STATISTICS] = outputs[NEXT_STATISTICS];
    outputs[NEXT_ORIGIN] = outputs[NEXT_STATISTICS] = NULL;
  }
  for (int i = 0; i < OUTPUTS; i++)
    if (outputs[i]) m->ort->ReleaseValue(outputs[i]);
  return done;
}

/* The heart: pixels in, one class index for each out. A model may be shared by threads; this call is thread-safe. */
static bool segment(const Model *m, const Image *image, uint8_t *labels) {
  const int64_t shape[3] = {image->height, image->width, image->channels}, pair[1] = {2}, none[2] = {0, image->channels};
  const size_t size = (size_t)(image->height * image->width * image->channels) * image->size;
  const ONNXTensorElementDataType integer = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, real = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  int64_t first[2] = {0, 0}, origin[2] = {0, 0};
  float empty = 0; /* the statistics of the whole image are the model's to compute, in the first window */
  OrtMemoryInfo *memory = NULL;
  OrtValue *inputs[INPUTS] = {NULL};
  bool done = good(m, m->ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory)) &&
              good(m, m->ort->CreateTensorWithDataAsOrtValue(memory, image->pixels, size, shape, 3, image->type,
                                                             &inputs[IMAGE])) &&
              good(m, m->ort->CreateTensorWithDataAsOrtValue(memory, first, sizeof first, pair, 1, integer,
                                                             &inputs[ORIGIN])) &&
              good(m, m->ort->CreateTensorWithDataAsOrtValue(memory, &empty, 0, none, 2, real, &inputs[STATISTICS]));
  while (done && origin[0] >= 0)
    done = (!cancelled || fail("cancelled, no mask was written")) && segment_window(m, inputs, origin, image, labels);
  for (int i = 0; i < INPUTS; i++)
    if (inputs[i]) m->ort->ReleaseValue(inputs[i]);
  if (memory) m->ort->ReleaseMemoryInfo(memory);
  return done;
}

int main(int count, char **arguments) {
  if (count != 5) return fail("usage: segment LIBONNXRUNTIME MODEL.onnx IMAGE.pgm MASK.pgm"), 2;
  const char *library = arguments[1], *path = arguments[2], *source = arguments[3], *target = arguments[4];
  Model model = {0};
  Image image = {0};
  uint8_t *labels = NULL;
  signal(SIGINT, cancel);
  bool done = open_model(&model, library, path) && read_image(&image, source) &&
              fit_image(&image, model.type, model.channels, source);
  if (done) {
    labels = calloc((size_t)image.height, (size_t)image.width);
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
  return done ? 0 : cancelled ? 130 : 1; /* 128 + SIGINT, as a shell expects */
}
