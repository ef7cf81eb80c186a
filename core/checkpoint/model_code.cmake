# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
# Makes model_code.cpp out of resources/model_code and the kernels that build_kernels.py compiles, so that the program needs no files at run time. Included by
# core/CMakeLists.txt; as a script (cmake -P, with `output` and `files`) it writes the file.
#
# Each file becomes an array of its bytes: compilers limit the length of a string, not of an array.

if(CMAKE_SCRIPT_MODE_FILE)
  set(arrays "")
  set(entries "")
  set(number 0)
  foreach(file ${files})
    cmake_path(GET file FILENAME name)
    file(READ ${file} bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
    string(APPEND arrays "constexpr char kFile${number}[] = {${bytes}};\n")
    string(APPEND entries "      {\"${name}\", std::string(kFile${number}, sizeof kFile${number})},\n")
    math(EXPR number "${number} + 1")
  endforeach()
  file(WRITE ${output} "// Generated from resources/model_code.\n#include \"core/checkpoint/model_code.h\"\n\nnamespace {\n\n"
    "${arrays}\n}  // namespace\n\nconst std::map<std::string, std::string>& kvista::modelCode() {\n"
    "  static const std::map<std::string, std::string> files = {\n${entries}  };\n  return files;\n}\n")
  return()
endif()

file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/resources/model_code/*.py ${CMAKE_SOURCE_DIR}/resources/model_code/*.cpp
  ${CMAKE_SOURCE_DIR}/core/cuda/*_attention.cu ${CMAKE_SOURCE_DIR}/core/cuda/*.cuh ${CMAKE_SOURCE_DIR}/core/cuda/latent_attention*.h)
set(output ${CMAKE_BINARY_DIR}/generated/model_code.cpp)
add_custom_command(OUTPUT ${output}
  COMMAND ${CMAKE_COMMAND} "-Doutput=${output}" "-Dfiles=${files}" -P ${CMAKE_CURRENT_LIST_FILE}
  DEPENDS ${files} ${CMAKE_CURRENT_LIST_FILE} VERBATIM)
target_sources(kvista_checkpoint PRIVATE ${output})
