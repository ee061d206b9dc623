"""Data: columns in, validated and grouped; designs and equal-sized chunks out."""
