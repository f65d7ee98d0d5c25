/* Adds 1 to the largest int: UndefinedBehaviorSanitizer must end it there. Valid as C and C++. */
#include <limits.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    (void)argv;
    int sum = INT_MAX;
    sum += argc; /* argc is 1, which no optimizer knows */
    printf("went on with %d\n", sum);
    return 0;
}
