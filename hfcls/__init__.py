"""hfcls"""
