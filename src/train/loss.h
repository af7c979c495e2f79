/* Sparse categorical cross-entropy on probabilities, with label smoothing and class weights. */
#ifndef TRAIN_LOSS_H
#define TRAIN_LOSS_H

#include "base/error.h"

/* probabilities [count][classes], labels [count], class_weights [classes] or NULL, smoothing in [0,1).
 * loss: mean over the batch of weight * -sum_c t_c log p_c, p clipped to [1e-7, 1 - 1e-7] as in Keras; t = (1 - s) onehot + s / classes.
 * gradient (may be NULL): d loss / d logits [count][classes]. correct: how many have their label as the (first) largest.
 * mix (NULL: none): image i is mixed from one of labels[i], by mix->share, and one of mix->labels[i]; its loss is mixed alike.
 * taught (NULL: labels only): the loss is (1 - share) of that and share of the cross-entropy with taught->probabilities, unweighted.
 * A loss that is not finite is returned as it is: the caller checks. */
typedef struct train_mix {
	const int *labels; /* [count] of the other images */
	float share;	   /* of the first, [0.5, 1] */
} train_mix;
typedef struct train_taught {
	const float *probabilities; /* [count][classes] */
	float share;		    /* [0, 1] */
} train_taught;
void train_cross_entropy(const float *probabilities, const int *labels, int count, int classes,
			 const float *class_weights, float smoothing, const train_mix *mix, const train_taught *taught,
			 double *loss, float *gradient, int *correct);

#endif
