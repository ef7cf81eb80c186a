# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
# What `cmake --install build/release --prefix DIR` copies and `cpack --config build/release/CPackConfig.cmake` packs:
# the program, its manual, and all licences. Libtorch stays where it is installed; the program remembers the place.

set(notices ${CMAKE_BINARY_DIR}/THIRD-PARTY-NOTICES)
set(programs kvista-compute)
if(KVISTA_STUDIO)
  list(APPEND programs kvista-studio)
endif()
list(TRANSFORM programs REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE program_files)
add_custom_command(
  OUTPUT ${notices}
  COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/packaging/notices ${program_files} ${KVISTA_TORCH_DIR} ${notices}
  DEPENDS ${programs} ${CMAKE_SOURCE_DIR}/packaging/notices
  COMMENT "Gathering licences into THIRD-PARTY-NOTICES"
  VERBATIM)
add_custom_target(kvista-notices ALL DEPENDS ${notices})

include(GNUInstallDirs)
set_target_properties(kvista kvista-compute PROPERTIES INSTALL_RPATH ${KVISTA_TORCH_DIR}/lib)
install(TARGETS kvista kvista-compute)
if(TARGET kvista_cuda_kernels)
  install(TARGETS kvista_cuda_kernels LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(TARGET kvista_nccl)
  set_target_properties(kvista_nccl PROPERTIES INSTALL_RPATH ${KVISTA_TORCH_DIR}/lib)
  install(TARGETS kvista_nccl LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
if(KVISTA_STUDIO)
  set(icons ${CMAKE_INSTALL_DATADIR}/icons/hicolor/scalable/apps)
  install(TARGETS kvista-studio)
  install(FILES packaging/linux/org.kvista.Studio.desktop DESTINATION ${CMAKE_INSTALL_DATADIR}/applications)
  install(FILES packaging/linux/org.kvista.Studio.metainfo.xml DESTINATION ${CMAKE_INSTALL_DATADIR}/metainfo)
  install(FILES packaging/linux/org.kvista.Studio.mime.xml DESTINATION ${CMAKE_INSTALL_DATADIR}/mime/packages)
  install(FILES resources/kvista.svg DESTINATION ${icons} RENAME org.kvista.Studio.svg)
  install(DIRECTORY resources/demo/ DESTINATION ${CMAKE_INSTALL_DATADIR}/kvista/demo)
  install(DIRECTORY resources/experiments/ DESTINATION ${CMAKE_INSTALL_DATADIR}/kvista/experiments)
endif()
install(DIRECTORY resources/help/ DESTINATION ${CMAKE_INSTALL_DATADIR}/kvista/help)
install(FILES README.md CHANGELOG.md LICENSE ${notices} DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY LICENSES DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR TGZ)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Makes the key-value cache of language models smaller")
set(CPACK_PACKAGE_VENDOR "The KVista authors")
include(CPack)
