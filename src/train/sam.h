/* Sharpness-aware minimization (Foret et al. 2021): a step goes by the gradient, of the same batch, at the weights
 *   w + rho * g / |g|,
 * where g is their gradient and |g| its norm over all parameters. It takes two passes and finds flatter minima. */
#ifndef TRAIN_SAM_H
#define TRAIN_SAM_H

#include "nn/network.h"

typedef struct train_sam {
	int count;	/* parameters of the network */
	float **values; /* [count][parameter.count]: the weights during the second pass */
} train_sam;

bm_status train_sam_create(nn_network *network, train_sam *out, bm_error *err);
void train_sam_free(train_sam *sam); /* safe on a zeroed one */
/* Behind the first backward pass: puts the weights aside and moves the network's up. The second pass leaves the moving statistics alone.
 * Where the gradient is 0 they stay; BM_ERR_NUMERIC, and nothing is moved, where it is not finite (*norm, may be NULL, has it). */
bm_status train_sam_climb(train_sam *sam, nn_network *network, float rho, int threads, float *norm, bm_error *err);
/* Behind the second: the weights as they were, with the gradient of above. */
bm_status train_sam_return(train_sam *sam, nn_network *network, bm_error *err);

#endif
