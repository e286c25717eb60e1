# What `cmake --install` puts where: the libraries, the public headers, the program, the default model, and how others find them.
# Every path is relative to the prefix, so an installed tree may be moved.
include(CMakePackageConfigHelpers)

install(TARGETS binocle binocle_eval EXPORT binocle-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(BINOCLE_SERVICE)
  install(TARGETS binocle_client binocle_proto binocle_server EXPORT binocle-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()
# Loaded at run time from the library's folder.
install(TARGETS binocle_sentencepiece LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(BINOCLE_OPENCV)
  install(TARGETS binocle_opencv LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
# Apart (cmake --install … --component cuda): it goes with the CUDA toolkit of this machine, which no package can ask for.
if(TARGET binocle_cuda)
  install(TARGETS binocle_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT cuda EXCLUDE_FROM_ALL)
endif()
install(TARGETS binocle_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/binocle DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY models/binocle-tiny DESTINATION ${CMAKE_INSTALL_DATADIR}/binocle/models)
install(DIRECTORY eval/tasks DESTINATION ${CMAKE_INSTALL_DATADIR}/binocle FILES_MATCHING PATTERN "*.json")
install(FILES LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/binocle)

# find_package(binocle) -> binocle::binocle, binocle::eval, and binocle::client, binocle::server
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/binocle)
install(EXPORT binocle-targets NAMESPACE binocle:: DESTINATION ${package_dir})
configure_package_config_file(cmake/binocle-config.cmake.in ${PROJECT_BINARY_DIR}/binocle-config.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_DATADIR)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/binocle-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/binocle-config.cmake ${PROJECT_BINARY_DIR}/binocle-config-version.cmake DESTINATION ${package_dir})

# pkg-config binocle
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/binocle.pc.in ${PROJECT_BINARY_DIR}/binocle.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/binocle.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

include(cmake/Package.cmake)
