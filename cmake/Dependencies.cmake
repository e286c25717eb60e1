# What the build takes from the distribution. tools/install_deps.sh names the packages.
find_package(Threads REQUIRED)

if(BINOCLE_HIGHWAY)
  find_package(hwy CONFIG REQUIRED)
endif()

if(BINOCLE_ONEDNN)
  # The package's own CMake file asks for OpenCL, which the CPU engine does not need.
  find_library(DNNL_LIBRARY dnnl REQUIRED)
  find_path(DNNL_INCLUDE_DIR dnnl.hpp REQUIRED)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  add_library(binocle_onednn INTERFACE)
  target_include_directories(binocle_onednn SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
  target_link_libraries(binocle_onednn INTERFACE ${DNNL_LIBRARY} OpenMP::OpenMP_CXX)
endif()

if(BINOCLE_ENGINE)
  find_package(nlohmann_json 3.10 CONFIG REQUIRED)
  find_package(CLI11 CONFIG REQUIRED)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)
  pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
  pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
  pkg_check_modules(LIBEDIT REQUIRED IMPORTED_TARGET libedit)
  find_package(OpenSSL REQUIRED)
  find_package(ZLIB REQUIRED)
endif()

if(BINOCLE_SERVICE)
  # Its flags matter: they are part of the layout of its classes.
  pkg_check_modules(CPP_HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
endif()

if(BINOCLE_OPENCV)
  # The small -dev packages have no CMake file; libopencv-dev, which has, brings 500 MB.
  find_path(OPENCV_INCLUDE_DIR opencv2/imgcodecs.hpp PATH_SUFFIXES opencv4 REQUIRED)
  find_library(OPENCV_CORE opencv_core REQUIRED)
  find_library(OPENCV_IMGCODECS opencv_imgcodecs REQUIRED)
endif()

if(BINOCLE_SERVICE)
  find_package(Protobuf REQUIRED)
  find_package(gRPC 1.51 CONFIG REQUIRED)
  find_package(prometheus-cpp CONFIG REQUIRED)
  find_package(yaml-cpp CONFIG REQUIRED)
endif()

if(BINOCLE_TESTS)
  find_package(GTest REQUIRED)
endif()
