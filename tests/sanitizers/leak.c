/* Forgets blocks that it allocated: LeakSanitizer must say so in the end. Valid as C and C++. */
#include <stdlib.h>

__attribute__((noinline)) static int allocate_and_forget(void)
{
    /* Several, because the last address may still lie somewhere on the stack. */
    for (int i = 0; i < 16; i++) {
        volatile char *bytes = (volatile char *)malloc(100);
        if (bytes == NULL) return 2;
        bytes[0] = 1;
    }
    return 0;
}

int main(void) { return allocate_and_forget(); }
