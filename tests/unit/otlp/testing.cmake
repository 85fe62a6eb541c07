# The scripted back-end of these tests stands on core/h2 and OpenSSL.
list(APPEND WEFT_TEST_LIBRARIES weft_core weft_proto weft_queue PkgConfig::OPENSSL PkgConfig::XXHASH)
