"""Diffusion students: few-step img2img diffusers models behind the contract of three graphs.

Latents are in k-diffusion's scale (Karras et al. 2022, "Elucidating the Design Space"): the noisy code is
`clean + sigma * noise`, and `denoised = model(code, sigma)`. steps, noise, steady, model, lora and bank need
numpy alone; unet, control, prompts and export need torch and diffusers, imported where they are used.
"""
