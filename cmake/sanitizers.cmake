# Builds our own C and C++ with AddressSanitizer (with LeakSanitizer) and UndefinedBehaviorSanitizer. A finding ends the
# program. The library is the one that is shipped, because stable Rust cannot instrument it. But its calls of malloc and
# memcpy go to the sanitizer: this finds memory that it leaks, and copies past the end of our buffers.

# -O1 -g1 is enough for reports with line numbers, and compiles in half the time.
add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1)
add_link_options(-fsanitize=address,undefined)
