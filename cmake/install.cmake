# Everything that `cmake --install` installs. You can move it afterwards, because no file contains the prefix.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(FILES "${PROJECT_SOURCE_DIR}/include/wtgram.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
if(EXISTS "${PROJECT_SOURCE_DIR}/bindings/cpp/include")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/bindings/cpp/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
          FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
endif()

install(PROGRAMS "${wtgram_shared_library}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${wtgram_soname_link}" "${wtgram_plain_link}" "${wtgram_static_library}"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}")

set(wtgram_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/wtgram")
configure_package_config_file(cmake/config.cmake.in "${PROJECT_BINARY_DIR}/cmake/wtgram-config.cmake"
                              INSTALL_DESTINATION "${wtgram_config_dir}"
                              PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
# Before 1.0 only the same minor version is compatible, as the SONAME says.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(wtgram_compatibility SameMinorVersion)
else()
  set(wtgram_compatibility SameMajorVersion)
endif()
write_basic_package_version_file("${PROJECT_BINARY_DIR}/cmake/wtgram-config-version.cmake"
                                 COMPATIBILITY ${wtgram_compatibility})
install(FILES "${PROJECT_BINARY_DIR}/cmake/wtgram-config.cmake"
              "${PROJECT_BINARY_DIR}/cmake/wtgram-config-version.cmake"
              "${PROJECT_BINARY_DIR}/cmake/wtgram-targets.cmake"
        DESTINATION "${wtgram_config_dir}")

# pkg-config computes the prefix from the place of the file. The way up depends on the depth of the library directory.
file(RELATIVE_PATH wtgram_pc_up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" wtgram_pc_up "${wtgram_pc_up}")
set(wtgram_pc_prefix "\${pcfiledir}/${wtgram_pc_up}")
set(wtgram_pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
set(wtgram_pc_rpath "")
set(wtgram_pc_cflags "-I\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
configure_file(cmake/wtgram.pc.in "${PROJECT_BINARY_DIR}/cmake/wtgram.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/cmake/wtgram.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

install(FILES "${PROJECT_SOURCE_DIR}/LICENSE-MIT" "${PROJECT_SOURCE_DIR}/LICENSE-APACHE"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}")
