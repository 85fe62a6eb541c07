list(APPEND WEFT_TEST_LIBRARIES weft_proto PkgConfig::JANSSON)
# Memory fails on demand where one thread tests; the wrapper is not made for several.
cmake_language(DEFER CALL target_link_libraries unit_agent_http_otlp_test PRIVATE prometheus_failing_memory)
cmake_language(DEFER CALL target_link_libraries unit_agent_http_json_test PRIVATE prometheus_failing_memory)
