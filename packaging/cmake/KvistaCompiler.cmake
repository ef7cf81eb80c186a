# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
# Warnings, sanitizers, compiler cache and linker, for our own targets only (through kvista_flags).

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Paths below the source folder count as relative, so that copies of the tree share what was compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${CCACHE_PROGRAM})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

add_library(kvista_flags INTERFACE)
target_include_directories(kvista_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(kvista_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual)

if(KVISTA_SANITIZE)
  target_compile_options(kvista_flags INTERFACE -fsanitize=${KVISTA_SANITIZE} -fno-omit-frame-pointer
                                                -fno-sanitize-recover=all)
  target_link_options(kvista_flags INTERFACE -fsanitize=${KVISTA_SANITIZE})
endif()
if(KVISTA_COVERAGE)
  target_compile_options(kvista_flags INTERFACE --coverage -O0)
  target_link_options(kvista_flags INTERFACE --coverage)
endif()

find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  target_link_options(kvista_flags INTERFACE -fuse-ld=mold)
endif()
