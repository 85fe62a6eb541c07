/*
 * From the SPIFFE URI of a certificate to (service, namespace). Pure, nothing is copied: results are parts of
 * the text given. Any thread.
 *
 * Forms: spiffe://TRUST/ns/NAMESPACE/sa/ACCOUNT (Istio, Linkerd; a service account is the nearest that the
 * certificate knows to a service, and "default" is none),
 * spiffe://TRUST[/ap/PARTITION]/ns/NAMESPACE/dc/DC/svc/SERVICE (Consul).
 */
#ifndef WEFT_CONTEXT_SPIFFE_H
#define WEFT_CONTEXT_SPIFFE_H

#include "context/service_name.h"

/* Empty parts where the URI does not tell, or is none. */
struct service_name service_name_of_spiffe(struct slice uri);

#endif
