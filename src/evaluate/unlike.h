/* Is an image like those that the model was trained on? Two Gaussians fitted on validation images, one of cheap image statistics and one,
 * with a mean for each class (Lee et al. 2018), of what the head of the network sees; the larger of the two Mahalanobis distances, in units
 * of the one that one validation image in 200 exceeds, is the image's unlikeness. A model knows its classes only: a photo gets one of them
 * as well, so it has to be refused before. */
#ifndef EVALUATE_UNLIKE_H
#define EVALUATE_UNLIKE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "data/set.h"

#define EVALUATE_STATISTICS 14 /* of an image */
#define EVALUATE_PROJECTED 32  /* directions of the features */
#define EVALUATE_QUANTILE 0.995

typedef struct evaluate_gaussian {
	int size, means;
	double mean[DATA_CLASSES_MAX][EVALUATE_PROJECTED];
	double root[EVALUATE_PROJECTED][EVALUATE_PROJECTED]; /* L of the covariance L L', lower triangle */
	double threshold;				     /* distance, not squared */
} evaluate_gaussian;

typedef struct evaluate_unlike {
	int features; /* of the network */
	evaluate_gaussian image, network;
} evaluate_unlike;

/* Brightness, contrast, dark and bright shares, border, corners, centre, edges, symmetry, spread, entropy of an image as the pack has it. */
void evaluate_image_statistics(const uint8_t *pixels /* [side][side] */, int side, double out[EVALUATE_STATISTICS]);

/* features [count][feature_count], statistics [count][EVALUATE_STATISTICS], labels [count]. The thresholds are taken from images that the
 * Gaussian in question was not fitted on (two halves). BM_ERR_DATA for fewer than 10 images. */
bm_status evaluate_unlike_fit(const float *features, int feature_count, const double *statistics, const int *labels,
			      size_t count, int classes, evaluate_unlike *out, bm_error *err);

/* 0 and up; over 1: to be refused. */
double evaluate_unlikeness(const evaluate_unlike *u, const float *features /* [u->features] */,
			   const double statistics[EVALUATE_STATISTICS]);

#endif
