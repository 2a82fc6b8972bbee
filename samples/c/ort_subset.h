/* The part of ONNX Runtime's C API that segment.c calls.
 *
 * The Python wheel and the npm package bring the library without onnxruntime_c_api.h, so this file says what is needed of
 * it. Where you have the header (it comes with ONNX Runtime's release archives), include that one instead: names and
 * types are the same.
 *
 * Doing without is safe, because OrtApi is a table of function pointers that is only ever appended to: what its version 1
 * holds, every later version holds in the same place, and every library answers GetApi(1). ONNX Runtime's own sources
 * assert the size of version 1 (ReleaseCustomOpDomain at place 101); the assertions below hold each pointer to its place.
 * The gaps are functions that are not called here. */
#ifndef ORT_SUBSET_H
#define ORT_SUBSET_H

#include <stddef.h>
#include <stdint.h>

/* As in onnxruntime_c_api.h: on Windows, functions are called as __stdcall, and paths are wide. */
#ifdef _WIN32
#ifndef __cplusplus
#include <wchar.h>
#endif
#define ORT_API_CALL __stdcall
#define ORTCHAR_T wchar_t
#else
#define ORT_API_CALL
#define ORTCHAR_T char
#endif

#ifdef __cplusplus
#define ORT_ASSERT static_assert
extern "C" {
#else
#define ORT_ASSERT _Static_assert
#endif

#define ORT_API_VERSION 1

typedef struct OrtStatus OrtStatus; /* NULL is success */
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtValue OrtValue;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtTypeInfo OrtTypeInfo;

typedef enum { ORT_LOGGING_LEVEL_FATAL = 4 } OrtLoggingLevel;
typedef enum {
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED = 0,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT = 1,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 = 2,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16 = 4,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 = 7
} ONNXTensorElementDataType;
typedef enum { OrtArenaAllocator = 1 } OrtAllocatorType;
typedef enum { OrtMemTypeDefault = 0 } OrtMemType;

typedef struct OrtApi {
  void *gap_0[2];
  const char *(ORT_API_CALL *GetErrorMessage)(const OrtStatus *);
  OrtStatus *(ORT_API_CALL *CreateEnv)(OrtLoggingLevel, const char *name, OrtEnv **);
  void *gap_4[3];
  OrtStatus *(ORT_API_CALL *CreateSession)(const OrtEnv *, const ORTCHAR_T *path, const OrtSessionOptions *, OrtSession **);
  OrtStatus *(ORT_API_CALL *CreateSessionFromArray)(const OrtEnv *, const void *model, size_t size, const OrtSessionOptions *,
                                                    OrtSession **);
  OrtStatus *(ORT_API_CALL *Run)(OrtSession *, const OrtRunOptions *, const char *const *input_names,
                                 const OrtValue *const *inputs, size_t input_count, const char *const *output_names,
                                 size_t output_count, OrtValue **outputs);
  OrtStatus *(ORT_API_CALL *CreateSessionOptions)(OrtSessionOptions **);
  void *gap_11[19];
  OrtStatus *(ORT_API_CALL *SessionGetInputCount)(const OrtSession *, size_t *);
  void *gap_31[2];
  OrtStatus *(ORT_API_CALL *SessionGetInputTypeInfo)(const OrtSession *, size_t index, OrtTypeInfo **);
  OrtStatus *(ORT_API_CALL *SessionGetOutputTypeInfo)(const OrtSession *, size_t index, OrtTypeInfo **);
  void *gap_35[14];
  OrtStatus *(ORT_API_CALL *CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo *, void *data, size_t bytes,
                                                            const int64_t *shape, size_t rank, ONNXTensorElementDataType,
                                                            OrtValue **);
  void *gap_50[1];
  OrtStatus *(ORT_API_CALL *GetTensorMutableData)(OrtValue *, void **data);
  void *gap_52[3];
  OrtStatus *(ORT_API_CALL *CastTypeInfoToTensorInfo)(const OrtTypeInfo *, const OrtTensorTypeAndShapeInfo **);
  void *gap_56[4];
  OrtStatus *(ORT_API_CALL *GetTensorElementType)(const OrtTensorTypeAndShapeInfo *, ONNXTensorElementDataType *);
  OrtStatus *(ORT_API_CALL *GetDimensionsCount)(const OrtTensorTypeAndShapeInfo *, size_t *);
  OrtStatus *(ORT_API_CALL *GetDimensions)(const OrtTensorTypeAndShapeInfo *, int64_t *shape, size_t rank);
  void *gap_63[1];
  OrtStatus *(ORT_API_CALL *GetTensorShapeElementCount)(const OrtTensorTypeAndShapeInfo *, size_t *);
  OrtStatus *(ORT_API_CALL *GetTensorTypeAndShape)(const OrtValue *, OrtTensorTypeAndShapeInfo **);
  void *gap_66[3];
  OrtStatus *(ORT_API_CALL *CreateCpuMemoryInfo)(OrtAllocatorType, OrtMemType, OrtMemoryInfo **);
  void *gap_70[22];
  void (ORT_API_CALL *ReleaseEnv)(OrtEnv *);
  void (ORT_API_CALL *ReleaseStatus)(OrtStatus *);
  void (ORT_API_CALL *ReleaseMemoryInfo)(OrtMemoryInfo *);
  void (ORT_API_CALL *ReleaseSession)(OrtSession *);
  void (ORT_API_CALL *ReleaseValue)(OrtValue *);
  void *gap_97[1];
  void (ORT_API_CALL *ReleaseTypeInfo)(OrtTypeInfo *);
  void (ORT_API_CALL *ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo *);
  void (ORT_API_CALL *ReleaseSessionOptions)(OrtSessionOptions *);
} OrtApi;

#define ORT_AT(function, place) ORT_ASSERT(offsetof(OrtApi, function) == (place) * sizeof(void *), #function)
ORT_AT(GetErrorMessage, 2);
ORT_AT(CreateEnv, 3);
ORT_AT(CreateSession, 7);
ORT_AT(CreateSessionFromArray, 8);
ORT_AT(Run, 9);
ORT_AT(CreateSessionOptions, 10);
ORT_AT(SessionGetInputCount, 30);
ORT_AT(SessionGetInputTypeInfo, 33);
ORT_AT(SessionGetOutputTypeInfo, 34);
ORT_AT(CreateTensorWithDataAsOrtValue, 49);
ORT_AT(GetTensorMutableData, 51);
ORT_AT(CastTypeInfoToTensorInfo, 55);
ORT_AT(GetTensorElementType, 60);
ORT_AT(GetDimensionsCount, 61);
ORT_AT(GetDimensions, 62);
ORT_AT(GetTensorShapeElementCount, 64);
ORT_AT(GetTensorTypeAndShape, 65);
ORT_AT(CreateCpuMemoryInfo, 69);
ORT_AT(ReleaseEnv, 92);
ORT_AT(ReleaseStatus, 93);
ORT_AT(ReleaseMemoryInfo, 94);
ORT_AT(ReleaseSession, 95);
ORT_AT(ReleaseValue, 96);
ORT_AT(ReleaseTypeInfo, 98);
ORT_AT(ReleaseTensorTypeAndShapeInfo, 99);
ORT_AT(ReleaseSessionOptions, 100);

typedef struct OrtApiBase {
  const OrtApi *(ORT_API_CALL *GetApi)(uint32_t version);
  const char *(ORT_API_CALL *GetVersionString)(void);
} OrtApiBase;

#ifdef __cplusplus
}
#endif
#endif
