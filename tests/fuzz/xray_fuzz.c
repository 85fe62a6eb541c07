/* X-Ray's segments on arbitrary bytes; what is checked is said in json_document.h. */
#include "json_document.h"

#include "decode/xray.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_document(xray_to_otlp, data, size);
    return 0;
}
