//go:build ignore

/*
 * server: the least a fleet can spend on a client. One thread and one epoll set
 * answer GET on every loopback address with a 200-byte body of the address's
 * own, keep the connection or, if the client says "Connection: close", close it
 * first, as servers do.
 *
 *   server -p PORT
 *
 * Requests have no body. GET /__stats answers requests, connections, CPU and
 * wall time since the last GET /__reset. Datagrams to the port are requests too
 * (see datagrams.h).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "datagrams.h"

enum { MAXFD = 1 << 20, EVENTS = 512, BODY = 200, REST_MS = 10, HEAD_MAX = 4096 };

struct conn {
	uint32_t addr;
	uint32_t have; /* bytes of an incomplete head in part */
	char *part;
	uint8_t watched;
};

static struct conn conns[MAXFD];
static int ep, lfd, ufd, paused;
static unsigned long requests, connections;
static double wall0, cpu0;
static char buf[1 << 16];

static double wall(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void drop(int fd)
{
	free(conns[fd].part);
	conns[fd].part = NULL;
	close(fd);
}

/* decimal writes an octet and returns the place behind it. */
static char *decimal(char *p, unsigned v)
{
	if (v > 99)
		*p++ = '0' + v / 100;
	if (v > 9)
		*p++ = '0' + v / 10 % 10;
	*p++ = '0' + v % 10;
	return p;
}

/* body writes 200 bytes of JSON that name the address. */
static void body(char *p, uint32_t a)
{
	static const char tail[] = "\",\"version\":\"2.4.1\",\"health\":\"ok\",\"pad\":\"";
	char *end = p + BODY;
	p = mempcpy(p, "{\"addr\":\"", 9);
	for (int shift = 24; shift >= 0; shift -= 8) {
		p = decimal(p, a >> shift & 255);
		if (shift)
			*p++ = '.';
	}
	p = mempcpy(p, tail, sizeof tail - 1);
	memset(p, 'x', end - p - 3);
	memcpy(end - 3, "\"}\n", 3);
}

static int answer_control(int fd, const char *req)
{
	char out[512], json[256];
	if (!memcmp(req, "GET /__reset", 12)) {
		requests = connections = 0;
		wall0 = wall();
		cpu0 = cpu();
	} else if (memcmp(req, "GET /__stats", 12)) {
		return 0;
	}
	double w = wall() - wall0, c = cpu() - cpu0;
	int n = snprintf(json, sizeof json,
		"{\"requests\":%lu,\"connections\":%lu,\"cpu_seconds\":%.6f,\"uptime\":%.6f,\"idle_percent\":%.2f}\n",
		requests, connections, c, w, w > 0 ? 100 * (1 - c / w) : 100.0);
	n = snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", n, json);
	send(fd, out, n, MSG_NOSIGNAL);
	return 1;
}

static void answer(int fd, const char *req, size_t len)
{
	static const char keep[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n";
	static const char last[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 200\r\nConnection: close\r\n\r\n";
	if (len > 12 && answer_control(fd, req)) {
		drop(fd);
		return;
	}
	int closing = memmem(req, len, "onnection: close", 16) != NULL;
	const char *head = closing ? last : keep;
	size_t n = (closing ? sizeof last : sizeof keep) - 1;
	char out[512];
	memcpy(out, head, n);
	body(out + n, conns[fd].addr);
	requests++;
	if (send(fd, out, n + BODY, MSG_NOSIGNAL) < 0 || closing) {
		drop(fd);
		return;
	}
	if (!conns[fd].watched) {
		struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
		conns[fd].watched = 1;
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
	}
}

static void readable(int fd)
{
	struct conn *c = &conns[fd];
	if (c->have)
		memcpy(buf, c->part, c->have);
	ssize_t n = recv(fd, buf + c->have, sizeof buf - c->have, 0);
	if (n < 0 && errno == EAGAIN) {
		n = 0;
	} else if (n <= 0) {
		drop(fd);
		return;
	}
	n += c->have;
	if (n >= 4 && !memcmp(buf + n - 4, "\r\n\r\n", 4)) {
		c->have = 0;
		answer(fd, buf, n);
		return;
	}
	if (n > HEAD_MAX) {
		drop(fd);
		return;
	}
	if (n) {
		if (!c->part)
			c->part = malloc(HEAD_MAX);
		memcpy(c->part, buf, n);
		c->have = n;
	}
	if (!c->watched) {
		struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
		c->watched = 1;
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
	}
}

static void watch_listener(unsigned events)
{
	struct epoll_event ev = {.events = events, .data.fd = lfd};
	epoll_ctl(ep, EPOLL_CTL_MOD, lfd, &ev);
	paused = !events;
}

static void accept_some(void)
{
	for (int i = 0; i < 64; i++) {
		int fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				watch_listener(0);
			return;
		}
		struct sockaddr_in sa;
		socklen_t len = sizeof sa;
		getsockname(fd, (struct sockaddr *)&sa, &len);
		conns[fd] = (struct conn){.addr = ntohl(sa.sin_addr.s_addr)};
		connections++;
		readable(fd);
	}
}

int main(int argc, char **argv)
{
	int port = 0, one = 1;
	for (int opt; (opt = getopt(argc, argv, "p:")) != -1;) {
		if (opt != 'p')
			return 2;
		port = atoi(optarg);
	}
	struct rlimit rl;
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	lfd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(lfd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
	setsockopt(lfd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t len = sizeof sa;
	if (bind(lfd, (struct sockaddr *)&sa, sizeof sa) || listen(lfd, 65535) ||
		getsockname(lfd, (struct sockaddr *)&sa, &len)) {
		perror("listen");
		return 1;
	}
	ufd = open_datagrams(ntohs(sa.sin_port));
	if (ufd < 0) {
		perror("bind datagrams");
		return 1;
	}
	printf("%d\n", ntohs(sa.sin_port));
	fflush(stdout);
	ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = lfd}, evs[EVENTS];
	epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &ev);
	ev.data.fd = ufd;
	epoll_ctl(ep, EPOLL_CTL_ADD, ufd, &ev);
	wall0 = wall();
	cpu0 = cpu();
	for (;;) {
		int n = epoll_wait(ep, evs, EVENTS, paused ? REST_MS : -1);
		for (int i = 0; i < n; i++) {
			if (evs[i].data.fd == lfd)
				accept_some();
			else if (evs[i].data.fd == ufd)
				requests += answer_datagrams(ufd);
			else
				readable(evs[i].data.fd);
		}
		if (paused)
			watch_listener(EPOLLIN);
	}
}
