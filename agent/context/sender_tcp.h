/*
 * Who is at the other end of a TCP connection: the name in its verified client certificate, else its source
 * address. Never peer credentials: over TCP there are none. Pure; any thread.
 */
#ifndef WEFT_CONTEXT_SENDER_TCP_H
#define WEFT_CONTEXT_SENDER_TCP_H

#include "context/sender.h"

/*
 * By certificate: kind "san", name the URI or DNS name (of a SPIFFE ID without "spiffe://"), namespace what a
 * SPIFFE ID tells. One too long to be kept ends in a hash of the whole.
 */
void sender_of_name(const char *certificate_name, struct sender *ret_sender);

/* By address, as "10.0.0.7": kind "address". */
void sender_of_address(const char *address, struct sender *ret_sender);

#endif
