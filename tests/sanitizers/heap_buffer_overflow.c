/* Writes one byte past the end of a block: AddressSanitizer must end it there. Valid as C and C++. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    (void)argv; /* argc is 1, which neither the optimizer nor UBSan knows */
    volatile char *bytes = (volatile char *)malloc((size_t)argc * 8);
    if (bytes == NULL) return 2;
    bytes[8] = 1;
    printf("went on\n");
    free((void *)bytes);
    return 0;
}
