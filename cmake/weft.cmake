# What every folder shares: warnings, dependencies and the shape of a library.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd>=1.5)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(MHD REQUIRED IMPORTED_TARGET libmicrohttpd>=0.9.75)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2>=1.52)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl>=3)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.88)
pkg_check_modules(CYAML REQUIRED IMPORTED_TARGET libcyaml>=1.3)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.14)
pkg_check_modules(NCURSES REQUIRED IMPORTED_TARGET ncursesw>=6)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash>=0.8)

add_library(weft_options INTERFACE)
target_compile_definitions(weft_options INTERFACE _GNU_SOURCE WEFT_VERSION="${PROJECT_VERSION}")
target_compile_options(weft_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes
  -Wmissing-prototypes -fno-common $<$<BOOL:${WEFT_WERROR}>:-Werror>)
target_include_directories(weft_options INTERFACE ${PROJECT_SOURCE_DIR}/agent ${PROJECT_SOURCE_DIR}
  ${PROJECT_SOURCE_DIR}/include)

# weft_library(NAME dependency...): the sources of this folder as the static library weft_NAME.
function(weft_library name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  add_library(weft_${name} STATIC ${sources})
  target_link_libraries(weft_${name} PUBLIC weft_options ${ARGN})
endfunction()
