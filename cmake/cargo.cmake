# Builds libwtgram with cargo and makes it available as the imported targets of targets.cmake.in. In the build tree they
# have the same names, SONAME and links as after an installation.

find_program(WTGRAM_CARGO cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin" DOC "cargo, which builds libwtgram")
if(NOT WTGRAM_CARGO)
  message(FATAL_ERROR "wtgram is written in Rust and cargo was not found: install Rust (https://rustup.rs), "
                      "or set WTGRAM_CARGO to its path.")
endif()
# One target directory for all, so that dependencies are compiled only once.
set(WTGRAM_CARGO_TARGET_DIR "${PROJECT_SOURCE_DIR}/target" CACHE PATH "Where cargo builds")

if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(wtgram_cargo_profile dev)
  set(wtgram_cargo_output "${WTGRAM_CARGO_TARGET_DIR}/debug")
else()
  set(wtgram_cargo_profile release)
  set(wtgram_cargo_output "${WTGRAM_CARGO_TARGET_DIR}/release")
endif()

# Before 1.0 each minor version has its own ABI. build.rs sets the same SONAME; tests/abi compares them.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(wtgram_abi_version "0.${PROJECT_VERSION_MINOR}")
else()
  set(wtgram_abi_version "${PROJECT_VERSION_MAJOR}")
endif()

set(wtgram_lib_dir "${PROJECT_BINARY_DIR}/lib")
set(wtgram_shared_library "${wtgram_lib_dir}/libwtgram.so.${PROJECT_VERSION}")
set(wtgram_soname_link "${wtgram_lib_dir}/libwtgram.so.${wtgram_abi_version}")
set(wtgram_plain_link "${wtgram_lib_dir}/libwtgram.so")
set(wtgram_static_library "${wtgram_lib_dir}/libwtgram.a")
set(wtgram_printed_native_libs "${wtgram_cargo_output}/wtgram-native-static-libs.txt")

file(GLOB_RECURSE wtgram_rust_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/*.rs")
# --crate-type without rlib, because only then cargo optimizes across crates at link time. --print costs no extra
# compilation here; tests/abi compares the result with cmake/native-static-libs.txt.
add_custom_command(
  OUTPUT "${wtgram_shared_library}" "${wtgram_soname_link}" "${wtgram_plain_link}" "${wtgram_static_library}"
  COMMAND "${CMAKE_COMMAND}" -E make_directory "${wtgram_lib_dir}" "${wtgram_cargo_output}"
  COMMAND "${CMAKE_COMMAND}" -E env --unset=CARGO_BUILD_TARGET "${WTGRAM_CARGO}" rustc --locked --lib --crate-type cdylib,staticlib
          --profile "${wtgram_cargo_profile}" --target-dir "${WTGRAM_CARGO_TARGET_DIR}"
          -- "--print=native-static-libs=${wtgram_printed_native_libs}"
  COMMAND "${CMAKE_COMMAND}" -E copy "${wtgram_cargo_output}/libwtgram.so" "${wtgram_shared_library}"
  COMMAND "${CMAKE_COMMAND}" -E copy "${wtgram_cargo_output}/libwtgram.a" "${wtgram_static_library}"
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "libwtgram.so.${PROJECT_VERSION}" "${wtgram_soname_link}"
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "libwtgram.so.${wtgram_abi_version}" "${wtgram_plain_link}"
  DEPENDS ${wtgram_rust_sources} "${PROJECT_SOURCE_DIR}/Cargo.toml" "${PROJECT_SOURCE_DIR}/Cargo.lock"
          "${PROJECT_SOURCE_DIR}/build.rs"
  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
  COMMENT "Building libwtgram with cargo (profile ${wtgram_cargo_profile})"
  USES_TERMINAL VERBATIM)
add_custom_target(wtgram_cargo ALL DEPENDS "${wtgram_shared_library}" "${wtgram_static_library}")

# The libraries that a program must link with the static library. The list is checked in, so that configuring needs no
# build.
file(STRINGS "${PROJECT_SOURCE_DIR}/cmake/native-static-libs.txt" WTGRAM_NATIVE_STATIC_LIBS REGEX "^-l")
string(REPLACE " " ";" WTGRAM_NATIVE_STATIC_LIBS_LIST "${WTGRAM_NATIVE_STATIC_LIBS}")

set(wtgram_include_dirs "${PROJECT_SOURCE_DIR}/include")
if(EXISTS "${PROJECT_SOURCE_DIR}/bindings/cpp/include")
  list(APPEND wtgram_include_dirs "${PROJECT_SOURCE_DIR}/bindings/cpp/include")
endif()

configure_file(cmake/targets.cmake.in "${PROJECT_BINARY_DIR}/cmake/wtgram-targets.cmake" @ONLY)
include("${PROJECT_BINARY_DIR}/cmake/wtgram-targets.cmake")
wtgram_add_targets("${wtgram_include_dirs}" "${wtgram_lib_dir}")
add_dependencies(wtgram_shared_imported wtgram_cargo)
add_dependencies(wtgram_static_imported wtgram_cargo)

# pkg-config in the build tree (PKG_CONFIG_PATH=<build>/pkgconfig). With it, cgo builds against the library before it is
# installed, and its programs find the library when they run.
set(wtgram_pc_prefix "${PROJECT_BINARY_DIR}")
set(wtgram_pc_libdir "${wtgram_lib_dir}")
set(wtgram_pc_rpath " -Wl,-rpath,\${libdir}")
list(JOIN wtgram_include_dirs " -I" wtgram_pc_cflags)
set(wtgram_pc_cflags "-I${wtgram_pc_cflags}")
configure_file(cmake/wtgram.pc.in "${PROJECT_BINARY_DIR}/pkgconfig/wtgram.pc" @ONLY)
