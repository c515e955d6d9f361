//go:build ignore

/*
 * floor: the least a client can spend on a fleet. One thread, one epoll set,
 * one fresh connection per target: connect, GET, read to the end, close.
 *
 *   floor -p PORT [-n 100000] [-c 1000] [-u /status] [-k]
 *
 * Target i is 127.B.C.D with D = 1 + i%250, C = (i/250)%200, B = 1 + i/50000,
 * which muster and curl write as 127.[1-2].[0-199].[1-250] for 100,000.
 * Prints one JSON line. A target is ok if its answer starts with "HTTP/1.1 200"
 * and carries its own address. With -k it only knocks: connect, close; a target
 * is ok if it accepts.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAXFD = 1 << 20, EVENTS = 512, QUIET_MS = 10000 };

struct slot {
	uint32_t addr; /* host order */
	uint8_t sent, good;
};

static struct slot slots[MAXFD];
static int ep, port, knock;
static long total = 100000, started, ok, failed, inflight;
static char request[512];
static size_t request_len;
static char buf[1 << 16];

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static uint32_t target(long i)
{
	return 127u << 24 | (1 + i / 50000) << 16 | (i / 250 % 200) << 8 | (1 + i % 250);
}

static void done(int fd, int good)
{
	close(fd);
	inflight--;
	if (good)
		ok++;
	else
		failed++;
}

/* carries reports whether the answer is a 200 that names the address. */
static int carries(const char *b, size_t n, uint32_t a)
{
	char want[24];
	int len = sprintf(want, "\"%u.%u.%u.%u\"", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
	return n > 12 && !memcmp(b, "HTTP/1.1 200", 12) && memmem(b, n, want, len) != NULL;
}

static int send_request(int fd)
{
	ssize_t n = send(fd, request, request_len, MSG_NOSIGNAL);
	if (n == (ssize_t)request_len) {
		slots[fd].sent = 1;
		return 1;
	}
	return n < 0 && (errno == EAGAIN || errno == ENOTCONN || errno == EINPROGRESS) ? 0 : -1;
}

static void start_one(void)
{
	uint32_t a = target(started++);
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(a)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || fd >= MAXFD) {
		perror("socket");
		exit(1);
	}
	inflight++;
	slots[fd] = (struct slot){.addr = a};
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0 && errno != EINPROGRESS) {
		done(fd, 0);
		return;
	}
	if (knock) {
		struct epoll_event ev = {.events = EPOLLOUT, .data.fd = fd};
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
		return;
	}
	int state = send_request(fd); /* over loopback the handshake is usually over already */
	if (state < 0) {
		done(fd, 0);
		return;
	}
	struct epoll_event ev = {.events = state ? EPOLLIN : EPOLLIN | EPOLLOUT, .data.fd = fd};
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static void handle(int fd)
{
	struct slot *s = &slots[fd];
	if (knock) {
		int err = 0;
		socklen_t len = sizeof err;
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
		done(fd, err == 0);
		return;
	}
	if (!s->sent) {
		int state = send_request(fd);
		if (state < 0)
			done(fd, 0);
		if (state <= 0)
			return;
		struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
		epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev);
	}
	for (;;) {
		ssize_t n = recv(fd, buf, sizeof buf, 0);
		if (n > 0) {
			s->good |= carries(buf, n, s->addr);
			continue;
		}
		if (n < 0 && errno == EAGAIN)
			return;
		done(fd, n == 0 && s->good);
		return;
	}
}

int main(int argc, char **argv)
{
	long concurrency = 1000;
	const char *path = "/status";
	for (int opt; (opt = getopt(argc, argv, "p:n:c:u:k")) != -1;) {
		switch (opt) {
		case 'p': port = atoi(optarg); break;
		case 'n': total = atol(optarg); break;
		case 'c': concurrency = atol(optarg); break;
		case 'u': path = optarg; break;
		case 'k': knock = 1; break;
		default: return 2;
		}
	}
	struct rlimit rl;
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	if (concurrency > (long)rl.rlim_cur - 16)
		concurrency = rl.rlim_cur - 16;
	request_len = snprintf(request, sizeof request,
		"GET %s HTTP/1.1\r\nHost: fleet\r\nUser-Agent: floor\r\nConnection: close\r\n\r\n", path);
	ep = epoll_create1(EPOLL_CLOEXEC);
	double t0 = now();
	struct epoll_event evs[EVENTS];
	while (ok + failed < total) {
		while (inflight < concurrency && started < total)
			start_one();
		int n = epoll_wait(ep, evs, EVENTS, QUIET_MS);
		if (n == 0) {
			failed += inflight;
			break;
		}
		for (int i = 0; i < n; i++)
			handle(evs[i].data.fd);
	}
	double wall = now() - t0;
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	double user = ru.ru_utime.tv_sec + ru.ru_utime.tv_usec / 1e6;
	double sys = ru.ru_stime.tv_sec + ru.ru_stime.tv_usec / 1e6;
	printf("{\"ok\":%ld,\"failed\":%ld,\"wall\":%.3f,\"user\":%.3f,\"sys\":%.3f,\"cpu_us_each\":%.2f,\"rss_kb\":%ld}\n",
		ok, failed, wall, user, sys, (user + sys) * 1e6 / total, ru.ru_maxrss);
	return ok == total ? 0 : 1;
}
