# HUSK_BACKENDS: the backends this build has, the best first. What a backend needs of the host it is built for is asked
# here and nowhere else: everything else that belongs to one backend looks whether the list has it.
set(backends "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|aarch64)$")
  list(APPEND backends kvm)
endif()
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  list(APPEND backends soft)  # its FPU computes with the host's SSE and x87
endif()
set(HUSK_BACKENDS "${backends}" CACHE STRING "Backends to build, the best first: ${backends}")

foreach(backend IN LISTS HUSK_BACKENDS)
  if(NOT backend IN_LIST backends)
    message(FATAL_ERROR "HUSK_BACKENDS: no backend ${backend} for ${CMAKE_SYSTEM_PROCESSOR}; there are: ${backends}")
  endif()
endforeach()

# husk_backend_table(FILE TEMPLATE): the list as C++, from runtime/backend_table.cc.in.
function(husk_backend_table file template)
  list(LENGTH HUSK_BACKENDS count)
  set(declarations "")
  set(entries "")
  foreach(backend IN LISTS HUSK_BACKENDS)
    string(APPEND declarations "extern const Backend ${backend}_backend;\n")
    string(APPEND entries "&${backend}_backend, ")
  endforeach()
  configure_file(${template} ${file} @ONLY)
endfunction()
