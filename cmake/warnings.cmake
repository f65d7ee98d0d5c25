# wtgram_strict_c(target): compiles our own C as C11 with the GNU names of the system headers. A warning is an error.
# wtgram_strict_cxx(target): the same for C++17.
# Headers of imported targets count as system headers, whose warnings are off. For our own headers they must be on.

function(wtgram_strict_c target)
  set_target_properties(${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS ON
                        NO_SYSTEM_FROM_IMPORTED ON)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Werror)
endfunction()

function(wtgram_strict_cxx target)
  set_target_properties(${target} PROPERTIES CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
                        NO_SYSTEM_FROM_IMPORTED ON)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Werror)
endfunction()
