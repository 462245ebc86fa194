/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Included before everything else when wolfSSL is built: each random block is drawn from ringpost
 * (src/crypto/random_octets.cc), that is from the kernel. wolfSSL's own generator would be seeded and tested
 * anew for each connection, behind one lock for all threads. */
#ifndef RINGPOST_RANDOM_H_
#define RINGPOST_RANDOM_H_

#ifndef __ASSEMBLER__
extern int RingpostRandomBlock(unsigned char* octets, unsigned int size);
#endif
#define CUSTOM_RAND_GENERATE_BLOCK RingpostRandomBlock

#endif /* RINGPOST_RANDOM_H_ */
