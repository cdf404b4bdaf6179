/*
 * Entry stub of the kvm-vdi executable: a stock deno ELF plus one segment that holds this code, deno's arguments,
 * an environment file and the program. The dynamic loader starts here instead of at deno's own entry.
 *
 * The stub puts the program and the environment file into sealed memfds, builds a new stack block
 *   argv[0] <arguments> --env-file=/proc/self/fd/M /proc/self/fd/N <the user's arguments>
 * and jumps to deno's entry. Nothing is extracted to disk, so a read-only directory, any user and no HOME will do.
 * Freestanding: no libc, no relocations, x86_64 and aarch64 Linux. pack_elf.ts fills in `struct config`.
 */
typedef unsigned long u64;
typedef long s64;
typedef unsigned char u8;

/* Offsets are relative to the struct itself. */
struct config {
  char magic[8];
  u64 start_vaddr;    /* where the loader would put stub_start without address randomisation */
  u64 original_entry; /* deno's own entry, likewise */
  u64 argument_count, arguments_offset;
  u64 environment_offset, environment_length;
  u64 program_offset, program_length;
};

extern const struct config CONFIG __attribute__((visibility("hidden")));
extern const u8 START[] __asm__("stub_start") __attribute__((visibility("hidden")));
__asm__(".section .config,\"a\"\n.balign 16\n.globl CONFIG\n.hidden CONFIG\nCONFIG:\n"
        ".ascii \"KVMVDI01\"\n.zero 64\n.text\n");

/* stub_start: ask stub_size for the room needed, lower the stack by it, let stub_build fill it, jump to what it
 * returns. The register the loader passes to an entry (rdx / x0: its exit function) is kept. */
#if defined(__x86_64__)
enum { SYS_write = 1, SYS_exit = 60, SYS_fcntl = 72, SYS_memfd_create = 319 };
static inline s64 syscall3(s64 number, s64 a, s64 b, s64 c) {
  s64 result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}
__asm__(".section .text.start,\"ax\"\n.globl stub_start\nstub_start:\n"
        " mov %rsp, %rdi\n push %rdx\n push %rbp\n mov %rsp, %rbp\n call stub_size\n"
        " mov %rax, %rcx\n mov 8(%rbp), %rdx\n lea 16(%rbp), %rdi\n mov %rdi, %rsp\n sub %rcx, %rsp\n"
        " and $-16, %rsp\n mov %rsp, %rsi\n push %rdx\n push %rsi\n call stub_build\n"
        " pop %rsi\n pop %rdx\n mov %rsi, %rsp\n xor %ebp, %ebp\n jmp *%rax\n.text\n");
#elif defined(__aarch64__)
enum { SYS_fcntl = 25, SYS_write = 64, SYS_exit = 93, SYS_memfd_create = 279 };
static inline s64 syscall3(s64 number, s64 a, s64 b, s64 c) {
  register s64 x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return x0;
}
__asm__(".section .text.start,\"ax\"\n.globl stub_start\nstub_start:\n"
        " mov x19, x0\n mov x0, sp\n mov x20, x0\n bl stub_size\n mov x1, sp\n sub x1, x1, x0\n"
        " and x1, x1, #-16\n mov sp, x1\n mov x21, x1\n mov x0, x20\n bl stub_build\n"
        " mov x9, x0\n mov sp, x21\n mov x0, x19\n mov x29, xzr\n mov x30, xzr\n br x9\n.text\n");
#endif

enum { FD_PATH_ROOM = 48, MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, F_ADD_SEALS = 1033, ALL_SEALS = 15 };

static u64 length_of(const char *text) {
  u64 length = 0;
  while (text[length]) length++;
  return length;
}

static void die(const char *message) {
  syscall3(SYS_write, 2, (s64)message, length_of(message));
  syscall3(SYS_exit, 126, 0, 0);
  for (;;) {}
}

/* Writes a sealed memfd with the bytes, and "<prefix>/proc/self/fd/<n>" at `path`. */
static void embed(const u8 *bytes, u64 length, const char *prefix, char *path) {
  s64 fd = syscall3(SYS_memfd_create, (s64)"kvm-vdi", MFD_CLOEXEC | MFD_ALLOW_SEALING, 0);
  if (fd < 0) die("kvm-vdi: memfd_create failed\n");
  for (u64 done = 0; done < length;) {
    s64 written = syscall3(SYS_write, fd, (s64)(bytes + done), length - done);
    if (written <= 0) die("kvm-vdi: writing to memory failed\n");
    done += written;
  }
  syscall3(SYS_fcntl, fd, F_ADD_SEALS, ALL_SEALS);
  while (*prefix) *path++ = *prefix++;
  const char *directory = "/proc/self/fd/";
  while (*directory) *path++ = *directory++;
  char digits[20];
  int count = 0;
  do {
    digits[count++] = '0' + fd % 10;
    fd /= 10;
  } while (fd);
  while (count) *path++ = digits[--count];
  *path = 0;
}

/* Bytes for the new block: argc, argv, envp, auxv, and two paths behind them. */
__attribute__((used)) u64 stub_size(u64 *stack) {
  u64 argc = stack[0], *envp = stack + 2 + argc, env_count = 0, aux_count = 0;
  while (envp[env_count]) env_count++;
  u64 *auxv = envp + env_count + 1;
  while (auxv[2 * aux_count]) aux_count++;
  u64 words = 1 + argc + CONFIG.argument_count + 4 + env_count + 1 + 2 * (aux_count + 1);
  return words * 8 + 2 * FD_PATH_ROOM + 64;
}

__attribute__((used)) u64 stub_build(u64 *old, u64 *block) {
  const u8 *base = (const u8 *)&CONFIG;
  u64 load_bias = (u64)START - CONFIG.start_vaddr;
  char *program_path = (char *)block + stub_size(old) - 2 * FD_PATH_ROOM;
  char *environment_path = program_path + FD_PATH_ROOM;
  embed(base + CONFIG.program_offset, CONFIG.program_length, "", program_path);
  embed(base + CONFIG.environment_offset, CONFIG.environment_length, "--env-file=", environment_path);

  u64 argc = old[0], *from = old + 1, *to = block;
  *to++ = argc + CONFIG.argument_count + (argc ? 2 : 3);
  *to++ = argc ? *from++ : (u64) "kvm-vdi";
  const char *argument = (const char *)base + CONFIG.arguments_offset;
  for (u64 i = 0; i < CONFIG.argument_count; i++) {
    *to++ = (u64)argument;
    argument += length_of(argument) + 1;
  }
  *to++ = (u64)environment_path;
  *to++ = (u64)program_path;
  for (u64 i = 1; i < argc; i++) *to++ = *from++;
  *to++ = 0;
  from++;
  while (*from) *to++ = *from++;
  *to++ = 0;
  from++;
  do { /* auxv, including its last pair */
    to[0] = from[0];
    to[1] = from[1];
    to += 2;
    from += 2;
  } while (from[-2]);
  return load_bias + CONFIG.original_entry;
}
