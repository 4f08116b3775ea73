/* A PKCS#11 module before another one, whose C_Sign never returns, or crashes, while a file says so.
 *
 * SHIM_MODULE is the module behind it; the file SHIM_TROUBLE begins with h (hang) or c (crash), else all is well. The
 * function list (PKCS#11 2.40) is a version of two bytes, then pointers in the standard's order: C_Sign is the 44th.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POINTERS = 69, C_SIGN = 1 + 43 };

typedef unsigned long ulong_t;
typedef ulong_t (*list_t)(void ***);
typedef ulong_t (*sign_t)(ulong_t, unsigned char *, ulong_t, unsigned char *, ulong_t *);

static void *functions[POINTERS];
static sign_t real_sign;

static ulong_t sign(ulong_t session, unsigned char *data, ulong_t size, unsigned char *out, ulong_t *out_size) {
  FILE *trouble = fopen(getenv("SHIM_TROUBLE"), "r");
  int kind = trouble ? fgetc(trouble) : 0;
  if (trouble) fclose(trouble);
  while (kind == 'h') pause(); /* also when the file is gone: a call that hangs has lost its answer */
  if (kind == 'c') *(volatile int *)0 = 0;
  return real_sign(session, data, size, out, out_size);
}

ulong_t C_GetFunctionList(void ***list) {
  void *module = dlopen(getenv("SHIM_MODULE"), RTLD_NOW);
  void **real;
  ulong_t result = ((list_t)dlsym(module, "C_GetFunctionList"))(&real);
  if (result) return result;
  memcpy(functions, real, sizeof functions);
  real_sign = (sign_t)real[C_SIGN];
  functions[C_SIGN] = (void *)sign;
  *list = functions;
  return 0;
}
