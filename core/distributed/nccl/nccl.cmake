# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
#
# c10d's NCCL backend, in a library that is loaded when several GPUs share their work. It needs headers only: CUDA's, which
# are there with nvcc, and NCCL's, which torch's package brings along. Where they are missing, sums of GPUs go through main memory.
if(CMAKE_CUDA_COMPILER AND EXISTS ${KVISTA_TORCH_DIR}/lib/libtorch_cuda.so)
  file(GLOB nccl_folders ${KVISTA_TORCH_DIR}/../nvidia/nccl/include ${KVISTA_TORCH_DIR}/../nvidia/*/include)
  find_path(KVISTA_NCCL_INCLUDE_DIR nccl.h HINTS ${nccl_folders})
  if(KVISTA_NCCL_INCLUDE_DIR)
    add_library(kvista_nccl MODULE ${CMAKE_CURRENT_LIST_DIR}/nccl_module.cpp)
    set_target_properties(kvista_nccl PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
    target_include_directories(kvista_nccl PRIVATE ${CMAKE_SOURCE_DIR})
    target_include_directories(kvista_nccl SYSTEM PRIVATE ${KVISTA_TORCH_FRONTEND} ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} ${KVISTA_NCCL_INCLUDE_DIR})
    target_link_libraries(kvista_nccl PRIVATE kvista_flags kvista_torch
      ${KVISTA_TORCH_DIR}/lib/libtorch_cuda.so ${KVISTA_TORCH_DIR}/lib/libc10_cuda.so)
  endif()
endif()
