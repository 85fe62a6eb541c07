# The scripted gRPC server of these tests stands on core/h2, the HTTP one on libmicrohttpd.
list(APPEND WEFT_TEST_LIBRARIES weft_core weft_proto weft_queue PkgConfig::MHD PkgConfig::OPENSSL PkgConfig::XXHASH)
