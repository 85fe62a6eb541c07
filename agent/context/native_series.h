/* Private to the native dictionary: the part that keeps series. */
#ifndef WEFT_CONTEXT_NATIVE_SERIES_H
#define WEFT_CONTEXT_NATIVE_SERIES_H

#include "context/native_dictionary.h"

/* Frees all series of a dictionary. */
void native_series_clear(struct native_dictionary *dictionary);

#endif
