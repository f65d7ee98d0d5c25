# Our own C and C++ under AddressSanitizer (with LeakSanitizer) and UndefinedBehaviorSanitizer; a finding ends
# the program. The library stays the one that is shipped, because stable Rust cannot instrument it. Its calls
# of malloc and memcpy are the sanitizer's all the same: what it leaks, and what it copies past the end of our
# buffers, is found.

# -O1 -g1 is enough for reports with lines, and compiles in half the time.
add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1)
add_link_options(-fsanitize=address,undefined)
