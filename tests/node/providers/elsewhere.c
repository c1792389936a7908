/*
 * A name that leads elsewhere, for one process: loaded before the system's library (LD_PRELOAD).
 *
 * ELSEWHERE_HOST is looked up as 127.0.0.1, and a connection to its port 443 goes to ELSEWHERE_PORT. All else is as it is.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    const char *host = getenv("ELSEWHERE_HOST");
    if (node && host && strcmp(node, host) == 0)
        node = "127.0.0.1";
    return next(node, service, hints, result);
}

int connect(int socket, const struct sockaddr *address, socklen_t length)
{
    int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    const char *port = getenv("ELSEWHERE_PORT");
    struct sockaddr_in inner;
    if (!port || address->sa_family != AF_INET || length != sizeof inner)
        return next(socket, address, length);
    memcpy(&inner, address, sizeof inner);
    if (inner.sin_port == htons(443) && inner.sin_addr.s_addr == htonl(INADDR_LOOPBACK))
        inner.sin_port = htons(atoi(port));
    return next(socket, (const struct sockaddr *)&inner, sizeof inner);
}
