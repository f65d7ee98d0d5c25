# Configures, builds and runs one consumer project from nothing.

macro(run)
  message(STATUS "${ARGN}")
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endmacro()

# links(PROGRAM YES|NO): whether the program needs libwtgram.so when it runs.
function(links program expected)
  execute_process(COMMAND "${READELF}" -d "${program}" OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
  string(FIND "${dynamic}" "[libwtgram.so." at)
  if((at EQUAL -1 AND expected) OR (NOT at EQUAL -1 AND NOT expected))
    message(FATAL_ERROR "${program} needs libwtgram.so: expected ${expected}\n${dynamic}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")

if(KIND STREQUAL "pkg_config")
  unset(ENV{MAKEFLAGS}) # of the make that runs the tests
  set(ENV{PKG_CONFIG_PATH} "${PREFIX}/${LIBDIR}/pkgconfig")
  run(make -C "${WORK}" -f "${SOURCE}/pkg_config/Makefile" "SOURCE=${SOURCE}/main.c" "CC=${CC}" "CFLAGS=${C_FLAGS}")
  run("${WORK}/consumer")
  run("${WORK}/consumer_static")
  links("${WORK}/consumer" YES)
  links("${WORK}/consumer_static" NO)
else()
  run("${CMAKE_COMMAND}" -S "${SOURCE}/${KIND}" -B "${WORK}" -G "${GENERATOR}" "-DCMAKE_BUILD_TYPE=${BUILD_TYPE}"
      "-DCMAKE_C_COMPILER=${CC}" "-DCMAKE_C_FLAGS=${C_FLAGS}" "-DCMAKE_PREFIX_PATH=${PREFIX}"
      "-DWTGRAM_SOURCE_DIR=${WTGRAM_SOURCE}" "-DWTGRAM_EXPECTED_VERSION=${VERSION}")
  run("${CMAKE_COMMAND}" --build "${WORK}")
  run("${WORK}/consumer")
  if(KIND STREQUAL "static")
    links("${WORK}/consumer" NO)
  else()
    links("${WORK}/consumer" YES)
  endif()
endif()
