/* What LLVM's instrumentation calls and GCC's runtime does not have; the runtime's own memcpy and so on see the
 * accesses. */
#include <string.h>

void *__tsan_memcpy(void *to, const void *from, size_t length) { return memcpy(to, from, length); }
void *__tsan_memmove(void *to, const void *from, size_t length) { return memmove(to, from, length); }
void *__tsan_memset(void *to, int value, size_t length) { return memset(to, value, length); }
