/* The ways to allocate, resize and free, and sizes to do it with. */
#pragma once

#include "model.h"

/* A size up to `size_max`: mostly small, often at the edge of a size class, sometimes nothing. */
size_t draw_size(struct chance *chance, size_t size_max);

/* Allocates in one of the ways; fills in all of `block` but its key and maker. Returns the name of
 * the function that was called. */
const char *allocate(struct chance *chance, size_t size, struct block *block);
void allocate_by_malloc(size_t size, struct block *block);

/* Whether the block's family may be resized. */
bool can_resize(const struct block *block);

/* Resizes it in one of the ways; its start is NULL after that when it was refused, or freed for a
 * size of 0. Returns the name of the function. */
const char *resize(struct chance *chance, struct block *block, size_t size);

/* Frees in one of the ways that its family allows; errno stays. */
void release(struct chance *chance, const struct block *block);

/* Asks for what cannot be: NULL and ENOMEM. */
void ask_absurd(struct chance *chance);
void resize_absurd(struct block *block);
