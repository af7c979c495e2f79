#include "train/loss.h"

#include <math.h>
#include <stddef.h>

/* Keras' backend.epsilon(). Written so that a NaN stays one. */
static double clip(double p)
{
	if (p < 1e-7)
		return 1e-7;
	if (p > 1.0 - 1e-7)
		return 1.0 - 1e-7;
	return p;
}

void train_cross_entropy(const float *probabilities, const int *labels, int count, int classes,
			 const float *class_weights, float smoothing, const train_mix *mix, const train_taught *taught,
			 double *loss, float *gradient, int *correct)
{
	const double off = (double)smoothing / classes, on = 1.0 - (double)smoothing + off;
	double sum = 0;
	int right = 0;
	for (int i = 0; i < count; i++) {
		const float *p = probabilities + (size_t)i * (size_t)classes;
		const int label = labels[i], other = mix ? mix->labels[i] : label;
		const float *said = taught ? taught->probabilities + (size_t)i * (size_t)classes : NULL;
		const double listens = taught ? (double)taught->share : 0.0, labelled = 1.0 - listens;
		const double share = mix ? (double)mix->share : 1.0;
		const double own = labelled * share * (class_weights ? (double)class_weights[label] : 1.0),
			     others = labelled * (1.0 - share) * (class_weights ? (double)class_weights[other] : 1.0);
		double one = 0;
		int largest = 0;
		for (int c = 0; c < classes; c++) {
			const double target = own * (c == label ? on : off) + others * (c == other ? on : off) +
					      (said ? listens * (double)said[c] : 0.0);
			if (target > 0)
				one -= target * log(clip((double)p[c]));
			if (p[c] > p[largest])
				largest = c;
			if (gradient)
				gradient[(size_t)i * (size_t)classes + (size_t)c] =
					(float)(((own + others + listens) * (double)p[c] - target) / count);
		}
		sum += one;
		right += largest == label;
	}
	if (loss)
		*loss = count > 0 ? sum / count : 0;
	if (correct)
		*correct = right;
}
