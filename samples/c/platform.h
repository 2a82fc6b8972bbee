/* What POSIX and Windows call by different names. Windows reads names of files in the code page of the system; a program that
 * needs others takes wide ones. */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef _WIN32
#include <io.h>
#include <process.h>
#include <windows.h>

static inline void *open_shared(const char *path) { return (void *)LoadLibraryA(path); }
static inline void close_shared(void *library) { FreeLibrary((HMODULE)library); }
static inline const char *shared_error(void) {
  static char text[32];
  snprintf(text, sizeof text, "error %lu", GetLastError());
  return text;
}
static inline void *find_symbol(void *library, const char *name) {
  union {
    FARPROC function;
    void *object;
  } found = {GetProcAddress((HMODULE)library, name)};
  return found.object;
}
static inline void set_environment(const char *name, const char *value) { SetEnvironmentVariableA(name, value); }
static inline bool replace_file(const char *from, const char *to) { return MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING); }
static inline bool is_terminal(FILE *file) { return _isatty(_fileno(file)); }
static inline long process_number(void) { return _getpid(); }
static inline double now_ms(void) { return (double)GetTickCount64(); }

#else
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

static inline void *open_shared(const char *path) { return dlopen(path, RTLD_NOW | RTLD_LOCAL); }
static inline void close_shared(void *library) { dlclose(library); }
static inline const char *shared_error(void) { return dlerror(); }
static inline void *find_symbol(void *library, const char *name) { return dlsym(library, name); }
static inline void set_environment(const char *name, const char *value) { setenv(name, value, 1); }
static inline bool replace_file(const char *from, const char *to) { return rename(from, to) == 0; }
static inline bool is_terminal(FILE *file) { return isatty(fileno(file)); }
static inline long process_number(void) { return (long)getpid(); }
static inline double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}
#endif
#endif
