/* Zipkin's spans on arbitrary bytes; what is checked is said in json_document.h. */
#include "json_document.h"

#include "decode/zipkin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_document(zipkin_to_otlp, data, size);
    return 0;
}
