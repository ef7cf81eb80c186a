# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
# Libraries from Debian, and libtorch.
#
# torch's own CMake package wants a CUDA toolkit as soon as torch was built with CUDA; we link its CPU libraries
# directly instead, so that a machine without nvcc builds the same programs.

find_package(Threads REQUIRED)
find_package(Eigen3 3.4 REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 REQUIRED)
find_package(spdlog REQUIRED)
find_package(tl-expected REQUIRED)
find_package(PkgConfig REQUIRED)
if(KVISTA_STUDIO)
  find_package(Qt6 6.4 REQUIRED COMPONENTS Widgets Charts DBus Svg Test)
endif()
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)

# Where torch may lie, in this order: where the user says, in the active Python, where packaging/setup puts it.
set(KVISTA_TORCH_VERSION 2.11)
set(KVISTA_TORCH_DIR "$ENV{KVISTA_TORCH_DIR}" CACHE PATH "Folder of an installed torch (the one with include/ and lib/)")
if(NOT KVISTA_TORCH_DIR)
  execute_process(
    COMMAND python3 -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
    OUTPUT_VARIABLE torch_dir OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE torch_missing)
  if(torch_missing)
    if(DEFINED ENV{KVISTA_CACHE})
      set(cache_dir $ENV{KVISTA_CACHE})
    elseif(DEFINED ENV{XDG_CACHE_HOME})
      set(cache_dir $ENV{XDG_CACHE_HOME}/kvista)
    else()
      set(cache_dir $ENV{HOME}/.cache/kvista)
    endif()
    file(GLOB torch_dirs ${cache_dir}/python*/lib/python3*/site-packages/torch)
    list(POP_BACK torch_dirs torch_dir)
  endif()
  if(torch_dir)
    set(KVISTA_TORCH_DIR ${torch_dir} CACHE PATH "" FORCE)
  endif()
endif()
if(NOT EXISTS "${KVISTA_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "libtorch was not found in '${KVISTA_TORCH_DIR}'. Run packaging/setup, or set KVISTA_TORCH_DIR to the "
                      "folder of an installed torch ${KVISTA_TORCH_VERSION} (python3 -c 'import torch; print(torch.__path__[0])').")
endif()
file(STRINGS ${KVISTA_TORCH_DIR}/version.py torch_version REGEX "^__version__")
if(NOT torch_version MATCHES "'${KVISTA_TORCH_VERSION}\\.")
  message(FATAL_ERROR "The torch in '${KVISTA_TORCH_DIR}' is not version ${KVISTA_TORCH_VERSION} (${torch_version}). Run "
                      "packaging/setup and leave KVISTA_TORCH_DIR unset, or set it to the folder of a torch "
                      "${KVISTA_TORCH_VERSION}.")
endif()

# Torch's include folder also holds copies of other libraries, fmt among them, of other versions than the ones we link:
# only torch's own headers are shown to the compiler.
set(torch_headers ${CMAKE_BINARY_DIR}/torch/include)
file(MAKE_DIRECTORY ${torch_headers})
foreach(folder ATen c10 torch)
  file(CREATE_LINK ${KVISTA_TORCH_DIR}/include/${folder} ${torch_headers}/${folder} SYMBOLIC)
endforeach()

# Torch's header of its Gloo backend asks for headers of Gloo, which torch does not bring along and of which it needs only
# declarations: core/distributed/gloo_backend.cpp has those, and the files are empty.
foreach(header algorithm context common/error rendezvous/store transport/device)
  file(CONFIGURE OUTPUT ${torch_headers}/gloo/${header}.h CONTENT "")
endforeach()

# For c10d's backends, whose headers ask for some of torch's frontend.
set(KVISTA_TORCH_FRONTEND ${torch_headers}/torch/csrc/api/include)

add_library(kvista_torch INTERFACE)
target_include_directories(kvista_torch SYSTEM INTERFACE ${torch_headers})
target_link_libraries(kvista_torch INTERFACE ${KVISTA_TORCH_DIR}/lib/libtorch_cpu.so ${KVISTA_TORCH_DIR}/lib/libc10.so)
