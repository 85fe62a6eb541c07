list(APPEND WEFT_TEST_LIBRARIES weft_listen weft_core weft_proto)
